"""Files over a bad connection: whole and right, or absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.download_helpers import PATH, NoProgress, content, wanted, web
from support.fake_hub import FakeHub

from vldock.common.errors import VldockError
from vldock.host.downloads.file import fetch_file
from vldock.host.downloads.request import FileRequest
from vldock.host.errors import DownloadDenied, HostFailed, NotThere, WrongBytes
from vldock.host.util.retry import RetryPolicy

STUBBORN = RetryPolicy(
    attempts=10_000, longest=0, first=0
)  # of a line that is given up so soon that any answer may be late


class Invisible(NoProgress):
    """Watches that nothing has its final name before it is whole."""

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        assert not request.path.exists()


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
