"""`vldock fetch weights`: the cache huggingface_hub would have written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.download_helpers import TABLES, fetch
from support.fake_hub import COMMIT, TOKEN, FakeHub
from support.tiny_weights import CLIP, LLAVA, write_locks

from vldock.host.downloads import locked_files


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
