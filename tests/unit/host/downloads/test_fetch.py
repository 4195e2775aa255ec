"""`vldock fetch`: the cache huggingface_hub would have written, resumed after a kill, planned before it is done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import wait_until
from support.fake_hub import COMMIT, TOKEN, FakeHub, running
from support.paths import ROOT
from support.tiny_weights import CLIP, LLAVA, model, table, tower, write_locks

from vldock.common.errors import EnvironmentUnfit
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.downloads import execute as fetch_execute
from vldock.host.downloads import locked_files
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.downloads.plan import DownloadJob
from vldock.host.downloads.request import FileRequest
from vldock.host.errors import NoRoom

TABLES = {"POPE": table("POPE", 250_000), "MMStar": table("MMStar")}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with running() as hub:
        yield hub


@pytest.fixture
def hub(server: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    server.repos = {LLAVA: model(), CLIP: tower()}
    server.files = {f"/tsv/{name}.tsv": content for name, content in TABLES.items()}
    server.gated, server.faults, server.requests, server.sums_in_listing = set(), {}, [], True
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HF_ENDPOINT", "LMUData"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return server


@pytest.fixture
def locks(hub: FakeHub, tmp_path: Path) -> Path:
    return write_locks(tmp_path / "locks", endpoint=hub.url, tables=TABLES, revision=COMMIT)


def fetch(locks: Path, *words: str) -> int:
    return invoke(cli.cli, ["fetch", *words, "--locks", str(locks), "--retries", "1"])


def tree(folder: Path) -> dict[str, str]:
    """The files and links below a repository's folder, as huggingface_hub has them too."""
    found = {}
    for kind in ("blobs", "snapshots", "refs"):
        for path in (folder / kind).rglob("*"):
            name = str(path.relative_to(folder))
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_file():
                found[name] = path.read_bytes().hex()
    return found


def test_weights_lie_as_huggingface_hub_writes_them(
    hub: FakeHub, locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import huggingface_hub

    theirs = tmp_path / "theirs"
    unused = ["*.msgpack", "pytorch_model.bin"]
    huggingface_hub.snapshot_download(LLAVA, cache_dir=theirs, endpoint=hub.url, ignore_patterns=unused)

    assert fetch(locks, "weights", LLAVA, "--cache", str(tmp_path / "cache")) == 0

    name = "models--liuhaotian--llava-v1.5-7b"
    assert tree(tmp_path / "cache" / "huggingface" / name) == tree(theirs / name)


def test_huggingface_hub_finds_what_was_fetched_without_a_network(locks: Path, tmp_path: Path) -> None:
    import huggingface_hub

    cache = tmp_path / "cache"
    fetch(locks, "weights", "llava_v1.5_7b", "--cache", str(cache))

    found = huggingface_hub.snapshot_download(LLAVA, cache_dir=cache / "huggingface", local_files_only=True)
    scanned = huggingface_hub.scan_cache_dir(cache / "huggingface")
    assert Path(found, "sub/extra.json").read_bytes() == b"{}"
    assert {repo.repo_id for repo in scanned.repos} == {LLAVA, CLIP}
    assert [str(warning) for warning in scanned.warnings if "models--" in str(warning)] == []


def test_a_second_fetch_downloads_nothing(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    words = ("weights", "llava_v1.5_7b", "--cache", str(tmp_path))
    fetch(locks, *words)
    hub.requests.clear()

    assert fetch(locks, *words) == 0
    assert [path for _, path, _ in hub.requests if "/api/" not in path] == []


def test_a_model_is_not_visible_before_it_is_whole(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    shard = f"/{LLAVA}/resolve/{COMMIT}/model-00002-of-00002.safetensors"
    hub.faults[shard] = ["wrong bytes"] * 4

    assert fetch(locks, "weights", LLAVA, CLIP, "--cache", str(tmp_path)) == 4

    hub_cache = tmp_path / "huggingface"
    assert not (hub_cache / "models--liuhaotian--llava-v1.5-7b" / "refs").exists()
    assert (hub_cache / "models--openai--clip-vit-large-patch14-336" / "refs" / "main").read_text() == COMMIT


def test_a_repository_that_lacks_a_shard_is_refused(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del hub.repos[LLAVA]["model-00002-of-00002.safetensors"]

    assert fetch(locks, "weights", LLAVA, "--cache", str(tmp_path)) == 4
    assert "model-00002-of-00002.safetensors: is not there" in capsys.readouterr().err


def test_a_gated_model_is_fetched_with_the_token_of_env(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    hub.gated = {CLIP}
    env = tmp_path / "tokens"
    env.write_text(f"# mine\nexport HUGGING_FACE_HUB_TOKEN='{TOKEN}'\n")

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path)) == 40
    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path), "--env-file", str(env)) == 0
    (storage,) = hub.requests_for("/cdn/openai--clip-vit-large-patch14-336/pytorch_model.bin")
    assert "Authorization" not in storage


def test_the_token_is_never_printed(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.faults[f"/{CLIP}/resolve/{COMMIT}/config.json"] = ["403"]

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path)) == 40
    captured = capsys.readouterr()
    assert TOKEN not in captured.out + captured.err
    assert "accept the licence at" in captured.err


def test_a_mirror_without_checksums_in_its_listing_is_asked_by_head(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    hub.sums_in_listing = False

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path)) == 0
    assert hub.requests_for(f"/{CLIP}/resolve/{COMMIT}/pytorch_model.bin", "HEAD")


def test_a_revision_the_host_does_not_know_is_41(hub: FakeHub, tmp_path: Path) -> None:
    locks = write_locks(tmp_path / "locks", endpoint=hub.url, tables=TABLES, revision="f" * 40)

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path)) == 41


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


def test_a_record_is_what_was_seen_and_needs_no_listing_afterwards(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    fetch(locks, "weights", CLIP, "--cache", str(tmp_path), "--record")
    fetch(locks, "data", "POPE", "--data", str(tmp_path), "--record")
    hub.requests.clear()

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path / "other")) == 0
    assert [path for _, path, _ in hub.requests if path.startswith("/api/")] == []
    repo = locked_files.load_weights(locks).find(CLIP)
    assert (repo.revision, [bool(item.sha256) for item in repo.files or ()]) == (COMMIT, [True] * 3)
    assert locked_files.load_datasets(locks)[0].size == len(TABLES["POPE"])


def test_a_file_that_changed_since_it_was_recorded_is_refused(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    fetch(locks, "weights", CLIP, "--cache", str(tmp_path), "--record")
    hub.repos[CLIP]["config.json"] = b"[]"

    assert fetch(locks, "weights", CLIP, "--cache", str(tmp_path / "other")) == 4


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
