"""The checkout the tests run from, and its command."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VLDOCK = (sys.executable, "-c", "from vldock.host.cli.main import main; main()")
