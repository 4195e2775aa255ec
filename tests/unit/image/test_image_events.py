"""Standard output carries events and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import vldock

CODE = """
import os, sys
from pathlib import Path
from vldock.image.events import capture
with capture(Path(sys.argv[1]), as_json=True) as emit:
    emit("start", cells=1)
    print("from Python")
    os.system("echo from a child")
    os.write(2, b"from C\\n")
print("afterwards")
"""


def test_what_python_c_and_children_print_goes_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "model.log"
    environ = {"PYTHONPATH": str(Path(vldock.__file__).parents[1])}

    done = subprocess.run([sys.executable, "-c", CODE, log], env=environ, capture_output=True, text=True, check=True)

    event, after = done.stdout.splitlines()
    assert json.loads(event) == {"event": "start", "cells": 1}
    assert after == "afterwards"
    assert log.read_text(encoding="utf-8").splitlines() == ["from Python", "from a child", "from C"]
    assert done.stderr == ""
