"""Files over a bad line from a bad host: whole and right, or not there; and every refusal says what to do."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_hub import COMMIT, TOKEN, FakeHub, running
from support.no_progress import NoProgress

from vldock.common.errors import EnvironmentUnfit, VldockError
from vldock.host.downloads import http as download_http
from vldock.host.downloads.file import fetch_file
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.partial_file import ExpectedFile, PartialFile
from vldock.host.downloads.request import FileRequest
from vldock.host.errors import DownloadDenied, HostFailed, NoRoom, NotThere, Stopped, WrongBytes
from vldock.host.util.redaction import bare_url
from vldock.host.util.retry import RetryPolicy

PATH = "/tsv/POPE.tsv"
HURRY = RetryPolicy(attempts=3, longest=0, first=0)
STUBBORN = RetryPolicy(
    attempts=10_000, longest=0, first=0
)  # of a line that is given up so soon that any answer may be late


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with running() as hub:
        yield hub


@pytest.fixture
def hub(server: FakeHub) -> FakeHub:
    server.files, server.faults, server.requests = {}, {}, []
    return server


def web(hub: FakeHub, *, token: str | None = None, seconds: float = 300.0, patience: RetryPolicy = HURRY) -> Web:
    return Web(Hub(hub.url, token), policy=patience, timeout=(300.0, seconds))


class Invisible(NoProgress):
    """Watches that nothing has its final name before it is whole."""

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        assert not request.path.exists()


def content(seed: int) -> bytes:
    return random.Random(seed).randbytes(random.Random(seed).randint(2, 900_000))


def wanted(hub: FakeHub, folder: Path, body: bytes, **declared: object) -> FileRequest:
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    hub.files[PATH] = body
    return FileRequest("POPE.tsv", "POPE", hub.url + PATH, folder / "POPE.tsv", ExpectedFile(md5=md5), **declared)  # type: ignore[arg-type]


# what the host does -> how it ends when it does so once, and when it always does
FAULTS: dict[str, tuple[type[VldockError] | None, type[VldockError] | None]] = {
    "401": (DownloadDenied, DownloadDenied),
    "403": (DownloadDenied, DownloadDenied),
    "404": (NotThere, NotThere),
    "429 1": (None, HostFailed),
    "503": (None, HostFailed),
    "cut": (None, HostFailed),
    "wrong bytes": (None, WrongBytes),
    "too short": (None, WrongBytes),
    "too long": (None, WrongBytes),
    "ignores range": (None, None),
    "slow": (None, None),
}


@pytest.mark.parametrize("begun", [False, True], ids=["fresh", "with a part"])
@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_download_is_whole_in_the_end_or_not_there(
    hub: FakeHub, tmp_path: Path, fault: str, seed: int, always: bool, begun: bool
) -> None:
    body = content(seed)
    item = wanted(hub, tmp_path, body)
    if begun:
        item.part.write_bytes(body[: len(body) // 3])
    hub.faults[PATH] = [fault] * (60 if always else 1)
    error = FAULTS[fault][always]
    asking = web(hub, seconds=0.03, patience=STUBBORN) if fault == "slow" and not always else web(hub)

    if error is None:
        fetch_file(asking, item, listener=Invisible())
        assert item.path.read_bytes() == body
        assert not item.part.exists()
        return
    with pytest.raises(error) as caught:
        fetch_file(asking, item, listener=Invisible())

    assert not item.path.exists()
    assert caught.value.expected
    assert caught.value.hint
    assert error is not WrongBytes or not item.part.exists()


def test_a_part_is_gone_on_from_and_not_sent_again(hub: FakeHub, tmp_path: Path) -> None:
    body = content(3)
    item = wanted(hub, tmp_path, body)
    item.part.write_bytes(body[:1000])

    got = fetch_file(web(hub), item, listener=NoProgress())

    assert got.how == "resumed"
    assert [headers.get("Range") for headers in hub.requests_for(PATH)] == ["bytes=1000-"]


def test_a_part_of_another_file_is_thrown_away(hub: FakeHub, tmp_path: Path) -> None:
    body = content(3)
    item = wanted(hub, tmp_path, body)
    item.part.write_bytes(b"x" * 1000)

    fetch_file(web(hub), item, listener=NoProgress())

    assert item.path.read_bytes() == body


def test_a_part_longer_than_the_file_is_thrown_away(hub: FakeHub, tmp_path: Path) -> None:
    body = content(4)
    item = wanted(hub, tmp_path, body)
    item.part.write_bytes(body + b"x")

    fetch_file(web(hub), item, listener=NoProgress())

    assert item.path.read_bytes() == body


def test_a_file_that_is_there_and_right_is_not_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    item = wanted(hub, tmp_path, b"right")
    item.path.write_bytes(b"right")

    assert fetch_file(web(hub), item, listener=NoProgress()).how == "kept"
    assert hub.requests == []


def test_a_users_file_with_other_bytes_is_refused_and_left_alone(hub: FakeHub, tmp_path: Path) -> None:
    item = wanted(hub, tmp_path, b"right")
    item.path.write_bytes(b"mine!")

    with pytest.raises(WrongBytes, match="is there and has md5") as caught:
        fetch_file(web(hub), item, listener=NoProgress())

    assert item.path.read_bytes() == b"mine!"
    assert "mv " in str(caught.value.hint)


def test_a_wrong_blob_is_replaced(hub: FakeHub, tmp_path: Path) -> None:
    item = wanted(hub, tmp_path, b"right", replace=True)
    item.path.write_bytes(b"wrong")

    fetch_file(web(hub), item, listener=NoProgress())

    assert item.path.read_bytes() == b"right"


def test_a_seed_with_the_right_bytes_spares_the_download(hub: FakeHub, tmp_path: Path) -> None:
    seed = tmp_path / "elsewhere.tsv"
    seed.write_bytes(b"right")

    got = fetch_file(web(hub), wanted(hub, tmp_path, b"right", seed=seed), listener=NoProgress())

    assert (got.how, hub.requests) == ("copied", [])


def test_a_seed_with_other_bytes_is_not_taken(hub: FakeHub, tmp_path: Path) -> None:
    seed = tmp_path / "elsewhere.tsv"
    seed.write_bytes(b"wrong")

    got = fetch_file(web(hub), wanted(hub, tmp_path, b"right", seed=seed), listener=NoProgress())

    assert (got.how, got.request.path.read_bytes()) == ("downloaded", b"right")


def test_the_token_goes_to_the_hub_only(hub: FakeHub, tmp_path: Path) -> None:
    item = wanted(hub, tmp_path, b"right")
    other = Web(Hub("http://hub.example", TOKEN), policy=HURRY)

    fetch_file(other, item, listener=NoProgress())

    assert "Authorization" not in hub.requests_for(PATH)[0]


def test_a_gated_model_names_the_page_and_the_variable_and_never_the_token(hub: FakeHub, tmp_path: Path) -> None:
    path = f"/org/name/resolve/{COMMIT}/a.bin"
    hub.faults[path] = ["403"]
    hub.repos["org/name"] = {"a.bin": b""}
    item = FileRequest("a.bin", "org/name", hub.url + path, tmp_path / "a", ExpectedFile(size=1))

    with pytest.raises(DownloadDenied) as caught:
        fetch_file(web(hub, token=TOKEN), item, listener=NoProgress())

    text = caught.value.render()
    assert f"{hub.url}/org/name" in text
    assert "HUGGING_FACE_HUB_TOKEN" in text
    assert TOKEN not in text


def test_nothing_of_an_address_that_may_be_secret_is_printed() -> None:
    assert bare_url("https://user:pass@host/a/b?Signature=s") == "https://host/a/b"


def test_a_host_that_does_not_answer_is_told_with_the_way_on(tmp_path: Path) -> None:
    item = FileRequest("a", "a", "http://127.0.0.1:1/a?Signature=secret", tmp_path / "a", ExpectedFile())

    with pytest.raises(HostFailed, match="given up after 3 attempts") as caught:
        fetch_file(Web(Hub("http://127.0.0.1:1"), policy=HURRY), item, listener=NoProgress())

    assert "secret" not in caught.value.render()
    assert "HF_ENDPOINT" in str(caught.value.hint)


def test_a_full_disk_is_told_and_the_part_stays(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = wanted(hub, tmp_path, b"right")
    monkeypatch.setattr(PartialFile, "append", lambda self, chunk: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(NoRoom, match="the disk is full") as caught:
        fetch_file(web(hub), item, listener=NoProgress())

    assert "goes on" in str(caught.value.hint)
    assert item.part.exists()


def test_a_folder_that_cannot_be_written_names_its_cure(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = wanted(hub, tmp_path, b"right")
    monkeypatch.setattr(PartialFile, "__init__", lambda *given: (_ for _ in ()).throw(PermissionError(13, "denied")))

    with pytest.raises(EnvironmentUnfit, match="cannot be written") as caught:
        fetch_file(web(hub), item, listener=NoProgress())

    assert "chown" in str(caught.value.hint)


def test_a_stop_leaves_the_part(hub: FakeHub, tmp_path: Path) -> None:
    item, asking = wanted(hub, tmp_path, content(1)), web(hub)

    class Stopper(NoProgress):
        def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
            asking.stop.set()

    with pytest.raises(Stopped):
        fetch_file(asking, item, listener=Stopper())

    assert item.part.stat().st_size > 0
    assert not item.path.exists()


def test_a_pause_between_attempts_ends_at_a_stop(hub: FakeHub, tmp_path: Path) -> None:
    item = wanted(hub, tmp_path, b"right")
    hub.faults[PATH] = ["429 600"] * 9
    asking = Web(Hub(hub.url), policy=RetryPolicy(longest=600.0), timeout=(300.0, 300.0))
    threading.Timer(0.02, asking.stop.set).start()

    with pytest.raises(Stopped):
        fetch_file(asking, item, listener=NoProgress())


@pytest.mark.parametrize(
    ("url", "repo"),
    [
        ("http://h/org/name/resolve/main/a.bin", "org/name"),
        ("http://h/api/models/org/name/revision/main?blobs=true", "org/name"),
        ("http://h/datasets/org/name/resolve/main/a.tsv", "datasets/org/name"),
    ],
)
def test_the_page_of_a_repository_is_found_in_an_address(url: str, repo: str) -> None:
    assert download_http.repo_of(url) == repo
