"""Downloads that fail or stop: every refusal has a hint and keeps secrets."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.download_helpers import HURRY, PATH, NoProgress, content, wanted, web
from support.fake_hub import COMMIT, TOKEN, FakeHub

from vldock.common.errors import EnvironmentUnfit
from vldock.host.downloads import http as download_http
from vldock.host.downloads.file import fetch_file
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.partial_file import ExpectedFile, PartialFile
from vldock.host.downloads.request import FileRequest
from vldock.host.errors import DownloadDenied, HostFailed, NoRoom, Stopped
from vldock.host.util.redaction import bare_url
from vldock.host.util.retry import RetryPolicy


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
