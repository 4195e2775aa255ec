"""Death of the worker: restart, and its cause in the status and at every run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from support import wait_until
from support.session_client import PATHS, StartServer, run, status


def test_a_worker_that_is_killed_is_started_again(start: StartServer, environ: dict[str, str]) -> None:
    start()
    first = (status() or {})["worker_pid"]

    os.kill(first, signal.SIGKILL)

    seen = wait_until.until(lambda: (now := status()) and now["worker_pid"] not in (None, first) and now)
    assert (seen["worker_restarts"], seen["worker_cause"]) == (1, "killed by SIGKILL (kill -9)")


# put in the way of every worker, as site.py's own hook; the server's processes are left alone
FAULT = """
import os, sys
if "vldock.image.session.worker_main" in sys.orig_argv:
    {fault}
"""


@pytest.fixture(params=["import", "load", "thread", "exit", "signal"])
def doomed(request: pytest.FixtureRequest, environ: dict[str, str], tmp_path: Path) -> str:
    """A fault that kills each worker as it starts; return the cause to be reported."""
    fault, told = {
        "import": (
            "sys.modules['vldock.image.session.worker_listener'] = None",
            "ModuleNotFoundError: import of vldock.image",
        ),
        "load": (
            "from vldock.image.timing import switch; switch.measure = lambda environ: int('no index')",
            "ValueError: invalid literal for int() with base 10: 'no index'",
        ),
        "thread": (
            "from vldock.image.session import worker_listener as w; w.WorkerListener._dispatch = lambda *_: [].pop()",
            "IndexError: pop from empty list",
        ),
        "exit": ("os._exit(7)", "exit 7"),
        "signal": ("os.kill(os.getpid(), 11)", "killed by SIGSEGV"),
    }[request.param]
    (tmp_path / "sitecustomize.py").write_text(FAULT.format(fault=fault), encoding="utf-8")
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), PATHS])
    return told


def test_a_worker_that_dies_at_every_start_names_its_cause_in_status_and_to_every_run(
    start: StartServer, environ: dict[str, str], doomed: str
) -> None:
    server = start(state="failed")
    seen, ended = status() or {}, run(environ, "model")

    assert str(seen["worker_cause"]).startswith(doomed)
    assert (seen["worker_restarts"], ended.stdout) == (3, "-> None\n")
    assert ended.stderr == f"session: the session's worker died: {seen['worker_cause']}: loading in this process\n"
    server.terminate()
    events = [json.loads(line) for line in server.communicate(timeout=300)[0].splitlines()]
    assert [one["cause"] for one in events if one["event"] == "worker_failed"] == [seen["worker_cause"]]


def test_a_worker_that_dies_at_a_question_is_named_with_its_cause_and_the_run_declined(
    start: StartServer, environ: dict[str, str], tmp_path: Path
) -> None:
    dies = "from vldock.image.session.loaded_models import LoadedModels\n"
    dies += "    LoadedModels.get = lambda self, name, log: os.kill(os.getpid(), 9)"
    (tmp_path / "sitecustomize.py").write_text(FAULT.format(fault=dies), encoding="utf-8")
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), PATHS])
    start()

    told = run(environ, "model").stderr.splitlines()

    cause = "killed by SIGKILL (kill -9)"
    again = f"session: the worker died and is started again ({cause}): waiting for its model, then asking once more"
    assert told == [again, f"session: the session's worker died: {cause}: loading in this process"]


def test_a_model_that_cannot_be_loaded_declines_the_run_with_the_errors_type(
    start: StartServer, environ: dict[str, str]
) -> None:
    start()

    ended = run(environ, "model")

    cause = "ModuleNotFoundError: No module named 'vlmeval'"
    assert ended.stderr == f"session: tiny cannot be loaded in the worker: {cause}: loading in this process\n"
