"""The client: when it attaches, to which folder and image, and what it does at the session's end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import wait_until
from support.session_client import PATHS, StartServer

from vldock.common.errors import EnvironmentUnfit, EvaluationFailed
from vldock.image.session import client, message_stream, socket_paths


def test_a_socket_a_dead_session_left_is_said_and_not_used(
    start: StartServer, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    server = start()
    server.kill()
    server.wait()

    assert client.attach(["exit", "0"], environ) is None
    assert "is gone: loading in this process" in capsys.readouterr().err


def test_a_session_that_dies_under_a_run_is_an_error(
    start: StartServer, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
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
    start: StartServer, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start()
    monkeypatch.setattr(client, "read_build_digest", lambda: "b" * 64)

    assert client.attach(["exit", "0"], environ) is None

    assert capsys.readouterr().err == (
        f"session: the session is of another image (build not known, this one is {'b' * 12}): loading in this process\n"
    )


def test_a_session_of_another_image_is_not_steered(start: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    start()
    monkeypatch.setattr(client, "read_build_digest", lambda: "b" * 64)

    with pytest.raises(EnvironmentUnfit, match="is of another image"):
        client.ask(os.environ, {"op": "stop"})


def test_a_message_without_a_build_is_declined_by_a_server_that_has_one(
    start: StartServer, environ: dict[str, str], tmp_path: Path
) -> None:
    facts = tmp_path / "build.json"
    facts.write_text("{}", encoding="utf-8")
    start("--build-facts", str(facts), state="")
    wait_until.until(lambda: socket_paths.exists(environ))
    stream = message_stream.connect(socket_paths.make(environ).runs)

    stream.send({"op": "run", "argv": ["exit", "0"]})

    assert "is of another image" in stream.receive()["declined"]
    stream.close()


def test_attaching_imports_neither_typing_nor_dataclasses() -> None:
    names = "{'typing', 'dataclasses'}"
    code = f"import sys; from vldock.image.session import client; print(sorted({names} & {{*sys.modules}}))"

    done = subprocess.run([sys.executable, "-S", "-c", code], env={"PYTHONPATH": PATHS}, capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr
