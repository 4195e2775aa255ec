"""Downloads on both sides refuse a redirect from https to http.

Nothing is sent there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from support.download_helpers import NoProgress
from support.fake_hub import TOKEN
from support.registries import tls_registry
from support.registries.fake_registry import FakeRegistry, response
from support.registries.tls_registry import PlainListener

from vldock.common.errors import InputRefused
from vldock.common.https import leaves_https
from vldock.host.downloads import file as download_file
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.downloads.request import FileRequest
from vldock.host.errors import HostFailed
from vldock.host.util.retry import RetryPolicy
from vldock.image.predict.image_download import DownloadLimits
from vldock.image.predict.image_download import fetch as fetch_image
from vldock.image.vlmeval_hooks.files.download import retrieve

Fetch = Callable[[str, Path], object]


def obtain(url: str, path: Path) -> object:
    """Download as `vldock fetch` does, with a token for the host."""
    web = Web(Hub(url.rpartition("/")[0], TOKEN), policy=RetryPolicy(2, 0, 0))
    with web.loopback, web.session:
        return download_file.fetch_file(web, FileRequest("a", "a", url, path, ExpectedFile()), listener=NoProgress())


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlainListener]:
    """A port without TLS."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with tls_registry.listening() as listener:
        yield listener


@pytest.fixture
def host(listener: PlainListener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A host over TLS: /fine redirects to itself, all else to the port without TLS."""
    pem = tls_registry.certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    registry = FakeRegistry()

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response:
        if request.path_url == "/whole":
            return response(request, 200, b"all of it")
        where = "/whole" if request.path_url == "/fine" else f"http://localhost:{listener.port}/x?Signature=secret"
        return response(request, 302, headers={"Location": where})

    registry.trouble = trouble
    with tls_registry.serving(registry, pem) as port:
        yield f"https://localhost:{port}"


FETCHES = [obtain, lambda url, path: retrieve(url, path), lambda url, path: fetch_image(url, path, DownloadLimits())]
NAMES = ["vldock fetch", "a benchmark's file in the container", "predict --image URL"]


@pytest.mark.parametrize("fetch", FETCHES, ids=NAMES)
def test_a_download_does_not_leave_https(fetch: Fetch, host: str, listener: PlainListener, tmp_path: Path) -> None:
    with pytest.raises((HostFailed, InputRefused), match="redirects to http://localhost") as caught:
        fetch(f"{host}/away", tmp_path / "file")

    assert listener.received == []
    assert "secret" not in caught.value.render()
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("fetch", FETCHES, ids=NAMES)
def test_a_redirect_that_stays_on_https_is_followed(fetch: Fetch, host: str, tmp_path: Path) -> None:
    fetch(f"{host}/fine", tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"all of it"


@pytest.mark.parametrize(
    ("url", "location", "leaves"),
    [
        ("https://a/x", "http://a/x", True),
        ("https://a/x", "ftp://a/x", True),
        ("https://a/x", "/y", False),
        ("https://a/x", "//b/y", False),
        ("https://a/x", "HTTPS://b/y", False),
        ("http://a/x", "http://b/y", False),
    ],
)
def test_only_https_is_held(url: str, location: str, leaves: bool) -> None:
    assert leaves_https(url, location) is leaves


def test_a_token_is_not_sent_to_its_host_over_plain_http() -> None:
    hub = Hub("https://hub.test", TOKEN)

    assert hub.headers("http://hub.test/x") == {}
    assert hub.headers("https://hub.test/x") == {"Authorization": f"Bearer {TOKEN}"}
