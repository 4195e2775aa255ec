"""Downloads of images, from a well-behaved host and from some that are not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError, VldockError
from vldock.image.predict.image_download import DownloadLimits, fetch

BODY = b"x" * 1000


class Host(BaseHTTPRequestHandler):
    """Host that answers by path: whole, cut, endless, slow, missing, in a redirect loop."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/circle":
            self.send_response(302)
            self.send_header("Location", "/circle")
            self.send_header("Content-Length", "0")
        elif self.path == "/missing":
            self.send_error(404)
            return
        else:
            self.send_response(200)
            if self.path in ("/whole", "/cut"):
                self.send_header("Content-Length", str(len(BODY) + (self.path == "/cut")))
        self.end_headers()
        self._body()

    def _body(self) -> None:
        if self.path in ("/whole", "/cut"):
            self.wfile.write(BODY)
        try:
            while self.path == "/endless" or self.path.startswith("/slow"):
                self.wfile.write(BODY if self.path == "/endless" else b"x")
                time.sleep(0.05 if self.path.startswith("/slow") else 0)
        except OSError:
            return  # the client hung up, as it should

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_whole_answer_is_the_file(host: str, tmp_path: Path) -> None:
    fetch(f"{host}/whole", tmp_path / "image", DownloadLimits())

    assert (tmp_path / "image").read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "seconds", "error", "said"),
    [
        ("/missing", 300, InputRefused, "answers 404"),
        ("/circle", 300, InputRefused, "redirects more than 5 times"),
        ("/endless", 300, InputRefused, "sends more than 5000 bytes"),
        ("/cut", 300, EnvironmentUnfit, "cannot be reached"),
        ("/slow?token=secret", 0.5, EnvironmentUnfit, "cannot be reached"),
    ],
)
def test_a_host_that_misbehaves_is_named_and_not_waited_for(
    host: str, tmp_path: Path, path: str, seconds: float, error: type[VldockError], said: str
) -> None:
    """What is endless and what is slow goes on until we hang up."""
    with pytest.raises(error, match=said) as caught:
        fetch(host + path, tmp_path / "image", DownloadLimits(size=5000, seconds=seconds))

    assert "secret" not in caught.value.render()


def test_without_a_network_the_error_says_to_give_a_file(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit) as caught:
        fetch("http://127.0.0.1:9/a.png?token=secret", tmp_path / "image", DownloadLimits(seconds=2))

    assert "--image FILE" in caught.value.render()
    assert "secret" not in caught.value.render()


def test_a_url_that_is_none_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        fetch("http://", tmp_path / "image", DownloadLimits())
