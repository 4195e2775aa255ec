"""Create a workspace; when imported, also use it.

As a script it only creates the workspace; imported before transformers, it creates and uses it.
python /workspace/scripts/setup_workspace_cache.py ROOT [--dry-run] [--prove -- COMMAND...]
"""

import os
import sys

from vldock.common import workspace_cli

if __name__ == "__main__":
    sys.exit(workspace_cli.main(sys.argv[1:]))

ACTIVATED = workspace_cli.use_on_import(os.environ)
