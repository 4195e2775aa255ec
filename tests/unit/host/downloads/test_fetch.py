"""`vldock fetch data`: planned, resumed after a kill, one failure beside the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import wait_until
from support.download_helpers import TABLES, fetch
from support.fake_hub import FakeHub
from support.paths import ROOT

from vldock.common.errors import EnvironmentUnfit
from vldock.host.downloads import execute as fetch_execute
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.downloads.plan import DownloadJob
from vldock.host.downloads.request import FileRequest
from vldock.host.errors import NoRoom


def test_benchmarks_are_fetched_and_kept(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    assert fetch(locks, "data", "POPE", "MMStar", "--data", str(tmp_path / "data")) == 0
    assert (tmp_path / "data" / "POPE.tsv").read_bytes() == TABLES["POPE"]
    assert fetch(locks, "data", "POPE,MMStar", "--data", str(tmp_path / "data")) == 0
    assert len(hub.requests_for("/tsv/POPE.tsv")) == 1


def test_a_mirror_is_asked_instead_of_the_usual_host(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    hub.files["/elsewhere/POPE.tsv"] = TABLES["POPE"]

    assert fetch(locks, "data", "POPE", "--data", str(tmp_path), "--mirror", f"{hub.url}/elsewhere/") == 0
    assert hub.requests_for("/tsv/POPE.tsv") == []


def test_benchmarks_of_the_hub_follow_its_endpoint(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    hub.files["/mirrored/tsv/POPE.tsv"] = TABLES["POPE"]

    assert fetch(locks, "data", "POPE", "--data", str(tmp_path), "--endpoint", f"{hub.url}/mirrored") == 0


def test_one_failure_does_not_stop_the_others(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults["/tsv/POPE.tsv"] = ["404"]

    assert fetch(locks, "data", "POPE", "MMStar", "--data", str(tmp_path), "--json") == 41
    told = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in told["files"]] == ["MMStar.tsv"]
    assert [(item["name"], item["exit_code"]) for item in told["failures"]] == [("POPE.tsv", 41)]


def test_a_dry_run_tells_sizes_and_sources_and_fetches_nothing(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "MMStar.tsv.part").write_bytes(b"12345")

    assert fetch(locks, "data", "POPE", "MMStar", "--data", str(tmp_path), "--dry-run", "--json") == 0
    files = {item["name"]: item for item in json.loads(capsys.readouterr().out)["files"]}
    assert files["POPE.tsv"]["size"] == len(TABLES["POPE"])
    assert (files["MMStar.tsv"]["here"], files["MMStar.tsv"]["from"]) == (5, f"{hub.url}/tsv/MMStar.tsv")
    assert hub.requests_for("/tsv/POPE.tsv") == []


def test_what_does_not_fit_is_refused_before_a_byte(tmp_path: Path) -> None:
    big = FileRequest("a", "a", "http://h/a", tmp_path / "sub" / "a", ExpectedFile(size=3_000))

    with pytest.raises(NoRoom, match=r"2.00 kB free, 3.00 kB are missing"):
        fetch_execute.require_room(DownloadJob(files=(big,)), free=lambda path: 2_000)


def test_two_processes_do_not_fill_one_folder(tmp_path: Path) -> None:
    refused = pytest.raises(EnvironmentUnfit, match=f"process {os.getpid()}")

    with fetch_execute.lock_folder(tmp_path), refused, fetch_execute.lock_folder(tmp_path):
        pass


@pytest.mark.parametrize(
    "words",
    [(), ("data",), ("weights",), ("data", "NOPE", "--data", "."), ("weights", "NOPE", "--cache", ".")],
    ids=" ".join,
)
def test_a_wrong_command_line_is_2(locks: Path, words: tuple[str, ...]) -> None:
    assert fetch(locks, *words) == 2


def start(locks: Path, data: Path) -> subprocess.Popen[str]:
    words = ["fetch", "data", "POPE", "--data", str(data), "--locks", str(locks)]
    argv = [sys.executable, "-c", "from vldock.host.cli.main import main; main()", *words]
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)], ids=["kill -9", "Ctrl-C"])
def test_a_fetch_ended_in_the_middle_goes_on_from_its_part(
    hub: FakeHub, locks: Path, tmp_path: Path, sent: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "held", held := threading.Event())
    part = tmp_path / "POPE.tsv.part"
    with start(locks, tmp_path) as child:
        wait_until.until(lambda: child.poll() is not None or (part.is_file() and part.stat().st_size))
        child.send_signal(sent)
        said = child.communicate(timeout=wait_until.SECONDS)[0]
    held.set()

    assert child.returncode == code, said
    assert 0 < part.stat().st_size < len(TABLES["POPE"])
    assert not (tmp_path / "POPE.tsv").exists()

    monkeypatch.setattr(hub, "held", None)
    assert fetch(locks, "data", "POPE", "--data", str(tmp_path)) == 0
    assert (tmp_path / "POPE.tsv").read_bytes() == TABLES["POPE"]
    assert hub.requests_for("/tsv/POPE.tsv")[-1]["Range"].startswith("bytes=")
