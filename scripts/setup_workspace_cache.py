#!/usr/bin/env python3
"""Create a workspace (as a script), or create and use it (imported before transformers).

scripts/setup_workspace_cache.py ROOT [--dry-run] [--prove -- COMMAND...]; the image has it in /workspace/scripts.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from vldock.common import workspace_cli

if __name__ == "__main__":
    sys.exit(workspace_cli.main(sys.argv[1:]))

ACTIVATED = workspace_cli.use_on_import(os.environ)
