"""Repeated run.py without importing VLMEvalKit (5 s) each time: a process forked per run.

As a script it is that process: it reads one JSON request a line and answers with the exit status of the fork.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path


class WarmRuns:
    """Client: starts the process, requests runs, ends it."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, argv: list[str], *, env: dict[str, str], folder: Path, before: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run run.py with `argv`; `before` runs ahead of each answer of the model (see `rig`)."""
        out, err = folder / "stdout", folder / "stderr"
        request = {"argv": argv, "env": env, "folder": str(folder), "before": before, "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(argv, status, out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process."""
        with self._process:  # closes the pipes, which ends it, and waits
            pass


def rig(before: str) -> dict[str, int]:
    """Make the LLaVA wrapper run the code `before` ahead of each answer.

    `n` is the number of answers so far.
    """
    from vlmeval.vlm.llava.llava import LLaVA

    answer, names = LLaVA.generate_inner, {"n": 0}

    def rigged(self: object, message: object, dataset: object = None) -> object:
        exec(f"import os, signal\n{before}", names)
        names["n"] += 1
        return answer(self, message, dataset)

    LLaVA.generate_inner = rigged
    return names


def child(request: dict[str, object]) -> int:
    """Run run.py in the fork; return its exit code."""
    from vlmeval import run

    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(str(request[name]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(str(request["folder"]))
    sys.argv = ["run.py", *request["argv"]]
    names = rig(str(request["before"])) if request["before"] is not None else None
    code = run.main()
    if names is not None:
        print("ANSWERS", names["n"])
    return code


def fork(request: dict[str, object]) -> int:
    """Run `child` in a fork and return its exit status, negative for a signal."""
    process = os.fork()
    if process == 0:
        code = 70
        try:
            code = child(request)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # noqa: BLE001  a fork must not return into the server, whatever happened
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def serve() -> None:
    """Answer requests until standard input ends; output of imports and runs never mixes in."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import llava.model.builder  # noqa: F401  what each fork would import: LLaVA, and VLMEvalKit's wrapper of it
    import vlmeval.run
    import vlmeval.vlm.llava.llava  # noqa: F401

    for line in sys.stdin:
        print(fork(json.loads(line)), file=replies, flush=True)


if __name__ == "__main__":
    serve()
