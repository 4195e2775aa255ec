"""A session runs run.py with its loaded model: same files, same ends, nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import question_gate
from tiny_model import MODEL, Bench, write_pope

from vldock.image.entrypoints.VLMEvalKit import run as run_entrypoint
from vldock.image.session import client, socket_paths

pytest_plugins = ["bench_fixture"]
FOUND = f"session: {MODEL} is loaded in the session's worker"
# put in the way of the worker alone, as site.py's own hook: its model fails over a question of this word
FAULT = """
import sys

def change(module):
    own = module.LLaVA.generate_inner
    def generate_inner(self, message, dataset=None):
        if "UNANSWERABLE" in str(message):
            raise IndexError("no token for it")
        return own(self, message, dataset)
    module.LLaVA.generate_inner = generate_inner

if "vldock.image.session.worker_main" in sys.orig_argv:
    from vldock.image.process import import_hook as on_import
    on_import.call(["vlmeval.vlm.llava.llava"], change)
"""


class Session:
    """A running session, and run.py in it as by `docker exec`."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.env = {**env, "VLDOCK_SESSION": str(folder / "session")}
        with (folder / "session.log").open("w") as log:
            command = [sys.executable, "-m", "vldock.image", "session", "serve", "--model", MODEL]
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def status(self) -> dict[str, Any]:
        """Return the output of `session status --json`, {} before it answers."""
        seen: dict[str, Any] | None = client.ask(self.env, {"op": "status"})
        return seen or {}

    def begin(self, bench: Bench, *options: str, data: str = "POPE", **env: str) -> subprocess.Popen[str]:
        """Start run.py with both streams joined."""
        command = [sys.executable, run_entrypoint.__file__, "--data", *data.split(), "--model", MODEL, *options]
        return subprocess.Popen(
            command,
            env=bench.env(**env) | {"VLDOCK_SESSION": self.env["VLDOCK_SESSION"]},
            cwd=bench.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, bench: Bench, *options: str, data: str = "POPE", **env: str) -> tuple[int, str]:
        """Run run.py to its end; return its exit status and output."""
        process = self.begin(bench, *options, data=data, **env)
        said, _ = process.communicate()
        return process.returncode, said

    @contextmanager
    def held(self) -> Iterator[Path]:
        """Hold the worker's fifth answer until the yielded file is removed, or the block ends."""
        mark = Path(self.env["VLDOCK_SESSION"]).with_name("held")
        words = [socket_paths.make(self.env).questions, str(mark)]
        with subprocess.Popen([sys.executable, question_gate.__file__, *words]):
            until(mark.exists)
            try:
                yield mark
            finally:
                mark.unlink(missing_ok=True)


def until(found: Callable[[], Any], seconds: float = 300.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def session(bench_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One session for all tests, its model loaded."""
    folder = tmp_path_factory.mktemp("s")
    with ready(folder, Bench(bench_template, bench_template / "cache").env()) as session:
        yield session


@contextmanager
def ready(folder: Path, env: dict[str, str]) -> Iterator[Session]:
    """Start a session, wait for its model, and end it after the block."""
    session = Session(folder, env)
    until(lambda: socket_paths.exists(session.env))
    until(lambda: session.status().get("state") == "ready")
    yield session
    session.process.terminate()
    assert session.process.wait() == 0


def answers(bench: Bench) -> dict[str, Any]:
    """Return prompts and answers, sample by sample, and their identity."""
    notes = (bench.out / f"{MODEL}_POPE_prompts.jsonl").read_text().splitlines()
    passport = json.loads((bench.out / f"{MODEL}_POPE_passport.json").read_text())
    names = ("prompts", "generation", "hardware", "outcome", "weights", "data", "code")
    return {"notes": sorted(notes), **{name: passport[name] for name in names}}


def test_a_run_in_a_session_leaves_what_a_run_of_its_own_leaves(session: Session, bench: Bench) -> None:
    write_pope(bench, 4)
    status, said = session.run(bench)
    in_session = answers(bench)
    bench.out.rename(bench.root / "kept")
    alone = bench.run()

    assert (status, alone.returncode) == (0, 0), said
    assert said.count(FOUND) == 1
    assert in_session == answers(bench)


def test_it_tells_the_answers_it_gave(session: Session, bench: Bench) -> None:
    before = session.status()["models"][0]["answers"]

    session.run(bench, "--limit", "3")

    until(lambda: session.status()["models"][0]["answers"] >= before + 3)
    assert session.status()["running"] == []


def test_another_dtype_than_the_workers_is_loaded_in_process(session: Session, bench: Bench) -> None:
    status, said = session.run(bench, "--limit", "1", VLDOCK_DTYPE="bfloat16")

    assert status == 0, said
    assert FOUND not in said
    assert "session: VLDOCK_DTYPE differs from when the session was started: loading in this process" in said


def test_an_unknown_name_ends_as_ever(session: Session, bench: Bench) -> None:
    status, said = session.run(bench, data="POPEYE")

    assert status == 2
    assert "unknown benchmark 'POPEYE': did you mean POPE?" in said


def test_a_sample_the_model_cannot_answer_fails_its_cell_with_the_models_own_error(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAULT, encoding="utf-8")
    with_fault = {"PYTHONPATH": os.pathsep.join([str(tmp_path), bench.env()["PYTHONPATH"]])}
    table = bench.lmu / "POPE.tsv"
    table.write_text(table.read_text().replace("\tIs ", "\tUNANSWERABLE: is "))

    with ready(tmp_path, bench.env(**with_fault)) as session:
        status, said = session.run(bench, "--limit", "1", **with_fault)

    assert status == 1
    assert FOUND in said
    assert f"FAILED {MODEL} x POPE: IndexError: no token for it" in said


def test_ctrl_c_ends_the_run_and_the_same_command_goes_on(session: Session, bench: Bench) -> None:
    write_pope(bench, 60)
    with session.held():
        process = session.begin(bench)
        until(lambda: (bench.out / "01_POPE.pkl").exists())
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()

    assert process.returncode == 130, said
    status, again = session.run(bench)
    assert status == 0
    assert "(60 samples" in again
    assert len((bench.out / f"{MODEL}_POPE_prompts.jsonl").read_text().splitlines()) < 60 + 10


def test_a_worker_killed_in_a_cell_is_started_again_and_the_cell_ends(session: Session, bench: Bench) -> None:
    write_pope(bench, 60)
    with session.held() as mark:
        process = session.begin(bench)
        until(lambda: (bench.out / "01_POPE.pkl").exists())
        os.kill(session.status()["worker_pid"], signal.SIGKILL)
        mark.unlink()
        said, _ = process.communicate()

    assert process.returncode == 0, said
    assert "the worker died and is started again (killed by SIGKILL (kill -9))" in said
    notes = (bench.out / f"{MODEL}_POPE_prompts.jsonl").read_text().splitlines()
    indices = [json.loads(note)["index"] for note in notes]
    assert sorted(indices, key=int) == [str(number) for number in range(60)]


def test_a_killed_client_leaves_no_evaluator_and_two_at_once_are_served(session: Session, bench: Bench) -> None:
    write_pope(bench, 60)
    with session.held():
        slow = session.begin(bench)
        until(lambda: (bench.out / "01_POPE.pkl").exists())
        status, said = session.run(bench, "--limit", "2", "--work-dir", "other")
        still = slow.poll()
        slow.kill()
        slow.communicate()

    assert (status, still) == (0, None), said
    until(lambda: not session.status()["running"])


def features(bench: Bench) -> dict[str, Any] | None:
    """Return the vision features of the last run's passport."""
    passport = json.loads((bench.out / f"{MODEL}_POPE_passport.json").read_text())
    found: dict[str, Any] | None = passport["features"]
    return found


def test_the_worker_reads_and_writes_the_feature_cache_of_the_run_that_asks(session: Session, bench: Bench) -> None:
    write_pope(bench, 4)
    env = {"VLDOCK_FEATURES": str(bench.root / "features")}
    batched = ("--engine", "batched", "--batch-size", "2")
    told, seen = list[str](), list[Any]()
    for name, options in (("cold", ("--feature-cache",)), ("warm", ("--feature-cache",)), ("without", ())):
        status, said = session.run(bench, *batched, *options, **env)
        assert (status, FOUND in said) == (0, True), said
        told.append(said)
        seen.append((answers(bench)["outcome"], features(bench)))
        bench.out.rename(bench.root / name)
    alone = bench.run(*batched, "--feature-cache", **env)

    (_, cold), (_, warm), (_, without) = seen
    assert alone.returncode == 0, alone.stderr
    assert len({json.dumps(outcome) for outcome, _ in [*seen, (answers(bench)["outcome"], None)]}) == 1
    assert (cold["read"], cold["computed"], without) == (0, 4, None)
    assert (warm["read"] + warm["held"], warm["computed"]) == (4, 0)
    assert features(bench) == {**cold, "read": 4, "computed": 0}
    assert "0 read from the cache, 4 computed" in told[0]
    assert "vision features" not in told[2]
