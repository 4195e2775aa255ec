"""Create a workspace; when imported, also use it.

As a script it only creates the workspace; imported before transformers, it creates and uses it.
python /workspace/scripts/setup_workspace_cache.py ROOT [--dry-run] [--prove -- COMMAND...]
"""

import os
import sys
import warnings

from vldock.common import workspace, workspace_cli

if __name__ == "__main__":
    sys.exit(workspace_cli.main(sys.argv[1:]))

ACTIVATED = workspace.activate(os.environ)
if said := ACTIVATED.warning():
    warnings.warn(said, workspace.TooLate, stacklevel=2)
