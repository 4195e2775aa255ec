"""The session's server: what an evaluator gets of its client, and that neither outlives the other unnoticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import wait_until
from support.paths import ROOT

from vldock.common.errors import EnvironmentUnfit, EvaluationFailed
from vldock.image.session import client, message_stream, server_socket, socket_paths

PATHS = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
CLIENT = "import os, sys; from vldock.image.session import client; print('->', client.attach(sys.argv[1:], os.environ))"
SIGNALLED = """
import os
from vldock.image.session import client, message_stream as wire
send = wire.Stream.send
def send_and_signal(stream, message, **options):
    send(stream, message, **options)
    if message["op"] == "run":
        os.kill(os.getpid(), {number})
wire.Stream.send = send_and_signal
print("->", client.attach(["sleep", "600"], os.environ))
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a session in a folder of its own; ours, too."""
    monkeypatch.setenv(socket_paths.VARIABLE, str(tmp_path / "session"))
    return {**os.environ, socket_paths.VARIABLE: str(tmp_path / "session"), "PYTHONPATH": PATHS}


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Start]:
    """A function that starts a server and waits until it answers; ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def begin(*argv: str, state: str = "ready") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "support.session_server", *argv]
        started.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True))
        if state:
            wait_until.until(lambda: (status() or {}).get("state") == state or started[-1].poll() is not None)
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
        process.communicate(timeout=wait_until.SECONDS)


def status() -> dict[str, Any] | None:
    """Return what the session of our own environment tells, None without one."""
    seen: dict[str, Any] | None = client.ask(os.environ, {"op": "status"}) if socket_paths.exists(os.environ) else None
    return seen


def run(environ: dict[str, str], *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a client to its end."""
    command = [sys.executable, "-c", CLIENT, *argv]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=wait_until.SECONDS, check=False, **options
    )


def begin(environ: dict[str, str], *argv: str) -> subprocess.Popen[str]:
    """Start a client and wait for its evaluator's first line."""
    command = [sys.executable, "-c", CLIENT, *argv]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def test_an_evaluator_has_the_clients_streams_folder_and_environment(
    start: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    start()

    ended = run({**environ, "COLOUR": "blue"}, "say", "hello", cwd=tmp_path, input="from stdin")

    assert ended.stdout.splitlines() == [f"hello blue {tmp_path}", "-> 0"]
    assert ended.stderr == "from stdin"


def test_the_exit_status_is_the_evaluators(start: Start, environ: dict[str, str]) -> None:
    start()

    assert run(environ, "exit", "4").stdout == "-> 4\n"


def test_a_declined_run_is_said_and_left_to_the_caller(start: Start, environ: dict[str, str]) -> None:
    start()

    ended = run(environ, "decline", "another revision")

    assert ended.stdout == "-> None\n"
    assert ended.stderr == "session: another revision: loading in this process\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_a_signal_reaches_the_evaluator(start: Start, environ: dict[str, str], number: signal.Signals) -> None:
    start()
    process = begin(environ, "sleep", "600")

    process.send_signal(number)

    said, _ = process.communicate(timeout=wait_until.SECONDS)
    assert said.endswith("-> 130\n" if number is signal.SIGINT else "-> 143\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_a_signal_that_comes_as_the_request_is_sent_reaches_the_evaluator(
    start: Start, environ: dict[str, str], number: signal.Signals
) -> None:
    start()
    code = SIGNALLED.format(number=int(number))

    ended = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)

    assert ended.stdout.endswith("-> 130\n" if number is signal.SIGINT else "-> 143\n"), ended.stderr


def test_a_killed_client_takes_its_evaluator_and_its_pool_along(start: Start, environ: dict[str, str]) -> None:
    start()
    process = begin(environ, "pool")
    child = (status() or {})["running"][0]["pid"]

    process.kill()
    process.communicate()

    wait_until.until(lambda: not (status() or {})["running"])
    wait_until.until(
        lambda: subprocess.run(["pgrep", "-s", str(child)], stdout=subprocess.DEVNULL, check=False).returncode == 1
    )


def test_a_run_is_cancelled_by_its_name(start: Start, environ: dict[str, str]) -> None:
    start()
    process = begin({**environ, socket_paths.REQUEST: "mine"}, "sleep", "600")

    assert client.ask(os.environ, {"op": "cancel", "id": "another"}) == {"cancelled": 0}
    assert client.ask(os.environ, {"op": "cancel", "id": "mine"}) == {"cancelled": 1}

    assert process.communicate(timeout=wait_until.SECONDS)[0].endswith("-> 130\n")


def test_runs_at_once_do_not_wait_for_each_other(start: Start, environ: dict[str, str]) -> None:
    start()
    slow = begin(environ, "sleep", "600")

    assert run(environ, "exit", "0").stdout == "-> 0\n"

    assert [one["argv"] for one in (status() or {})["running"]] == [["sleep", "600"]]
    slow.kill()
    slow.communicate()


def test_a_session_ends_when_nobody_asked_for_long_enough(start: Start, environ: dict[str, str]) -> None:
    process = start("--idle", "0.5")

    said, _ = process.communicate(timeout=wait_until.SECONDS)

    assert process.returncode == 0
    assert "idle_stop" in [json.loads(line)["event"] for line in said.splitlines()]
    assert not socket_paths.exists(environ)


def test_stopping_ends_what_runs_and_leaves_no_socket(start: Start, environ: dict[str, str]) -> None:
    server = start()
    process = begin(environ, "sleep", "600")

    answer = client.ask(os.environ, {"op": "stop"})

    assert answer == {"stopping": True, "running": 1}
    assert process.communicate(timeout=wait_until.SECONDS)[0].endswith("-> 130\n")
    assert server.wait(timeout=wait_until.SECONDS) == 0
    assert not socket_paths.exists(environ)


def test_a_worker_that_is_killed_is_started_again(start: Start, environ: dict[str, str]) -> None:
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
    """A fault that kills each worker as it starts; return the cause that must be told."""
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
    start: Start, environ: dict[str, str], doomed: str
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
    start: Start, environ: dict[str, str], tmp_path: Path
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
    start: Start, environ: dict[str, str]
) -> None:
    start()

    ended = run(environ, "model")

    cause = "ModuleNotFoundError: No module named 'vlmeval'"
    assert ended.stderr == f"session: tiny cannot be loaded in the worker: {cause}: loading in this process\n"


def test_a_killed_server_leaves_no_evaluator_and_its_client_says_so(start: Start, environ: dict[str, str]) -> None:
    server = start()
    process = begin(environ, "sleep", "600")
    child = next(iter(children(server.pid)))

    server.kill()

    _, told = process.communicate(timeout=wait_until.SECONDS)
    assert "the session ended while this ran" in told
    wait_until.until(lambda: not alive(child))


def spare_of(server: subprocess.Popen[str]) -> int:
    """Return the process of the one evaluator that waits, as soon as there is one."""
    found: list[int] = wait_until.until(lambda: children(server.pid))
    assert len(found) == 1
    return found[0]


def test_the_next_run_has_the_evaluator_that_waited_and_the_one_after_it_another(
    start: Start, environ: dict[str, str]
) -> None:
    server = start()
    spare = spare_of(server)

    first, second = run(environ, "pid").stdout, run(environ, "pid").stdout

    assert first == f"{spare}\n-> 0\n"
    assert second.endswith("-> 0\n")
    assert second != first


def test_a_run_has_its_own_signals_in_the_evaluator_that_waited(start: Start, environ: dict[str, str]) -> None:
    spare = spare_of(start())
    process = begin(environ, "sleep", "600")

    os.kill(spare, signal.SIGTERM)

    assert process.communicate(timeout=wait_until.SECONDS)[0].endswith("-> 143\n")


def test_an_evaluator_that_is_killed_while_it_waits_is_not_missed(start: Start, environ: dict[str, str]) -> None:
    server = start()
    for number in (signal.SIGKILL, signal.SIGTERM):  # one that is held back is heard when it has work
        spare = spare_of(server)
        os.kill(spare, number)
        if number == signal.SIGKILL:
            wait_until.until(lambda gone=spare: gone not in children(server.pid))

    assert run(environ, "exit", "4").stdout in ("-> 4\n", "-> 143\n")
    assert run(environ, "exit", "4").stdout == "-> 4\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_no_evaluator_waits_for_a_server_that_ended(start: Start, number: signal.Signals) -> None:
    server = start()
    spare = spare_of(server)

    server.send_signal(number)

    server.wait(timeout=wait_until.SECONDS)
    wait_until.until(lambda: not alive(spare))


def children(number: int) -> list[int]:
    """Return the forks of the server: its children that are not the worker and not over."""
    found = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
    return [int(one) for one in found if alive(int(one)) and b"session.worker" not in words_of(one)]


def words_of(number: str) -> bytes:
    with suppress(OSError):  # it ended meanwhile
        return Path(f"/proc/{number}/cmdline").read_bytes()
    return b"session.worker"


def test_a_second_session_of_one_user_is_refused(start: Start, environ: dict[str, str]) -> None:
    start()

    with pytest.raises(EnvironmentUnfit, match="a session of this user is here already"):
        server_socket.lock(socket_paths.make(environ))


def test_a_socket_a_dead_session_left_is_said_and_not_used(
    start: Start, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    server.kill()
    server.wait()

    assert client.attach(["exit", "0"], environ) is None
    assert "is gone: loading in this process" in capsys.readouterr().err


def test_a_session_that_dies_under_a_run_is_an_error(
    start: Start, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, follow = start(), client._follow
    os.kill(server.pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "_follow", lambda stream: (server.kill(), follow(stream))[1])

    with pytest.raises(EvaluationFailed, match="the session ended"):
        client.attach(["sleep", "600"], environ)


@pytest.mark.parametrize(
    ("argv", "environ", "may"),
    [
        (["--data", "POPE"], {}, True),
        (["--no-worker"], {}, False),
        ([], {socket_paths.WORKER: "0"}, False),
        ([], {"WORLD_SIZE": "2"}, False),
    ],
    ids=["plain", "--no-worker", "variable", "torchrun"],
)
def test_who_may_use_a_session(argv: list[str], environ: dict[str, str], may: bool) -> None:
    assert client.may_attach(argv, environ) is may


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with pytest.raises(EnvironmentUnfit, match="is open to others"):
        socket_paths.make({socket_paths.VARIABLE: str(tmp_path)})


def test_where_no_session_was_started_nothing_is_made(tmp_path: Path) -> None:
    assert not socket_paths.exists({socket_paths.VARIABLE: str(tmp_path / "none")})
    assert not (tmp_path / "none").exists()


def test_two_images_have_two_folders_in_one_tmp(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path, folders = tmp_path_factory.mktemp("t"), set()
    for build in ("a" * 64, "b" * 64, None):
        monkeypatch.setattr(socket_paths, "read_build_digest", lambda build=build: build)
        folders.add(socket_paths.make({"TMPDIR": str(tmp_path)}).folder)

    assert {Path(folder).name.removesuffix(f"-{os.geteuid()}") for folder in folders} == {
        "vldock-session-aaaaaaaa",
        "vldock-session-bbbbbbbb",
        "vldock-session",
    }


def test_a_session_of_another_image_declines_a_run_in_one_line(
    start: Start, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    monkeypatch.setattr(client, "read_build_digest", lambda: "b" * 64)

    assert client.attach(["exit", "0"], environ) is None

    assert capsys.readouterr().err == (
        f"session: the session is of another image (build not known, this one is {'b' * 12}): loading in this process\n"
    )


def test_a_session_of_another_image_is_not_steered(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    start()
    monkeypatch.setattr(client, "read_build_digest", lambda: "b" * 64)

    with pytest.raises(EnvironmentUnfit, match="is of another image"):
        client.ask(os.environ, {"op": "stop"})


def test_a_message_without_a_build_is_declined_by_a_server_that_has_one(
    start: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    facts = tmp_path / "build.json"
    facts.write_text("{}", encoding="utf-8")
    start("--build-facts", str(facts), state="")
    wait_until.until(lambda: socket_paths.exists(environ))
    stream = message_stream.connect(socket_paths.make(environ).runs)

    stream.send({"op": "run", "argv": ["exit", "0"]})

    assert "is of another image" in stream.receive()["declined"]
    stream.close()
