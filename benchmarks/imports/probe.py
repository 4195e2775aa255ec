"""Probe of import times, run in a container.

Each command runs with eager and with lazy imports, in turn.

python probe.py ROUNDS      one JSON line for each process: subject, whether at once, CPU and wall seconds, memory
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

VARIABLE = "VLDOCK_EAGER_IMPORTS"
MODEL = ("--model", "llava_v1.5_7b")
SUBJECTS = {
    "import torch": ("-c", "import torch"),
    "import vlmeval": ("-c", "import vlmeval"),
    "run.py --data POPE": ("/workspace/VLMEvalKit/run.py", *MODEL, "--work-dir", "FOLDER", "--data", "POPE"),
    "run.py --data VizWiz": ("/workspace/VLMEvalKit/run.py", *MODEL, "--work-dir", "FOLDER", "--data", "VizWiz"),
    "vldock.image evaluate --data POPE": (
        "-m",
        "vldock.image",
        "evaluate",
        *MODEL,
        "--out",
        "FOLDER",
        "--data",
        "POPE",
    ),
}


def seconds_of(argv: tuple[str, ...], *, at_once: bool) -> dict[str, float]:
    """Return CPU and wall seconds and memory of one process.

    CPU seconds are user and system; memory is the largest resident MiB.
    """
    folder = tempfile.mkdtemp()
    command = [sys.executable, *(folder if part == "FOLDER" else part for part in argv)]
    environment = {**os.environ, VARIABLE: str(int(at_once))}
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}:\n{said.read().decode(errors='replace')}")
    wall = time.monotonic() - began
    shutil.rmtree(folder)
    return {"cpu": used.ru_utime + used.ru_stime, "wall": wall, "mib": used.ru_maxrss / 1024}


def main(rounds: int) -> None:
    """Measure every subject both ways in each round, one right after the other."""
    seconds_of(SUBJECTS["run.py --data POPE"], at_once=True)  # fills the page cache
    for number in range(rounds):
        for subject, argv in SUBJECTS.items():
            for at_once in (True, False) if number % 2 else (False, True):
                seen = seconds_of(argv, at_once=at_once)
                print(json.dumps({"subject": subject, "at_once": at_once, "round": number, **seen}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
