"""HTTP of downloads: retries, tokens, errors with hints.

A token goes to its own host only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from vldock import __version__
from vldock.host.errors import DownloadDenied, HostFailed, NotThere, Stopped
from vldock.host.util import retry
from vldock.host.util.console import Say, silent
from vldock.host.util.https_session import HttpsSession, LeftHttps, use_no_proxy
from vldock.host.util.redaction import bare_url, clean_message
from vldock.host.util.retry import AGAIN, LOST, Result, RetryableError, RetryPolicy

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
GO_ON = "the same command goes on from the bytes that are here"


@dataclass(frozen=True)
class Hub:
    """The Hugging Face Hub or a mirror: its address, and its own token."""

    endpoint: str
    token: str | None = None

    def owns(self, url: str) -> bool:
        """Return whether an address is of this host, by the same scheme."""
        return urlsplit(url)[:2] == urlsplit(self.endpoint)[:2]

    def headers(self, url: str) -> dict[str, str]:
        """Return the authorization for an address of the hub; none for others."""
        return {"Authorization": f"Bearer {self.token}"} if self.token and self.owns(url) else {}


class Web:
    """Requests with retries; `stop` ends them at the next chunk or pause."""

    def __init__(
        self,
        hub: Hub,
        *,
        policy: RetryPolicy | None = None,
        timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
        stop: threading.Event | None = None,
        log: Say = silent,
    ) -> None:
        self.hub, self.timeout, self.log = hub, timeout, log
        self.policy = policy or RetryPolicy()
        self.stop = stop or threading.Event()
        self.session, self.loopback = _session(), _session()
        use_no_proxy(self.loopback)

    def get(self, url: str, *, start: int = 0, method: str = "GET") -> requests.Response:
        """Send one request, of the bytes from `start` on; its body is unread.

        Raises RetryableError where another try may help, DownloadDenied for 401 and 403, NotThere for 404, else
        HostFailed.
        """
        if self.stop.is_set():
            raise Stopped
        headers = self.hub.headers(url) | ({"Range": f"bytes={start}-"} if start else {})
        session = self.loopback if urlsplit(url).hostname in LOOPBACK else self.session
        try:  # auth as it is: nothing of a .netrc goes in its place
            response = session.request(
                method, url, headers=headers, auth=lambda r: r, stream=True, allow_redirects=True, timeout=self.timeout
            )
        except requests.exceptions.SSLError as error:
            raise HostFailed(
                f"{bare_url(url)}: {clean_message(error)}",
                expected="a certificate this machine trusts",
                hint="REQUESTS_CA_BUNDLE=FILE.pem for a CA of your own",
            ) from error
        except LOST as error:
            raise RetryableError(clean_message(error)) from error
        except LeftHttps as error:
            raise HostFailed(
                clean_message(error),
                expected="https to the end",
                hint="take it from elsewhere: HF_ENDPOINT, --mirror URL",
            ) from error
        except requests.RequestException as error:
            raise HostFailed(
                f"{bare_url(url)}: {clean_message(error)}", expected="an address that can be asked"
            ) from error
        if response.status_code in (200, 206, 416):
            return response
        with response:
            raise self._refusal(url, response)

    def _refusal(self, url: str, response: requests.Response) -> Exception:
        answer = f"{bare_url(url)}: {response.status_code} {response.reason}"
        code = response.headers.get("X-Error-Code", "")
        if response.status_code in AGAIN:
            after = response.headers.get("Retry-After", "")
            return RetryableError(
                f"{response.status_code} {response.reason}", after=float(after) if after.isdigit() else None
            )
        if response.status_code in (401, 403):
            return self._denied(url, answer, code)
        if response.status_code == 404:
            return NotThere(
                f"{answer}{f' ({code})' if code else ''}",
                expected="a repository, revision and file the host knows",
                hint="compare the name and the revision in locks/ with the host's page; a mirror may lack it",
            )
        return HostFailed(
            answer, expected="200 or 206", hint="the host refuses the request itself; try HF_ENDPOINT or --mirror"
        )

    def _denied(self, url: str, answer: str, code: str) -> DownloadDenied:
        ours = self.hub.owns(url)
        token = "the token given is not enough" if self.hub.token else "no token is set"
        page = f"{self.hub.endpoint}/{repo_of(url)}"
        cure = f"accept the licence at {page}, then put HUGGING_FACE_HUB_TOKEN=... of that account in .env (--env-file)"
        return DownloadDenied(
            f"{answer}{f' ({code})' if code else ''}; {token if ours else 'that host got no token of yours'}",
            expected="a public file, or an account that may read it",
            hint=cure if ours else "take it from elsewhere: --mirror URL, or put the file there yourself",
        )

    def retry(self, work: Callable[[], Result], *, what: str) -> Result:
        """Call `work` until it does not raise RetryableError; raises HostFailed at last."""

        def on_exhausted(error: RetryableError) -> HostFailed:
            return HostFailed(
                f"{what}: given up after {self.policy.attempts} attempts: {error}",
                expected="a host that answers",
                hint=f"wait, or take another host (HF_ENDPOINT, --mirror); {GO_ON}",
            )

        return retry.retry(
            work,
            policy=self.policy,
            log=lambda line: self.log(f"{what}: {line}"),
            on_exhausted=on_exhausted,
            sleep=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped


def _session() -> requests.Session:
    made = HttpsSession()
    made.headers.update({"User-Agent": f"vldock/{__version__}", "Accept-Encoding": "identity"})
    return made


def repo_of(url: str) -> str:
    """Return ORG/NAME, or datasets/ORG/NAME, of an address of the hub."""
    path = urlsplit(url).path.strip("/").removeprefix("api/").removeprefix("models/").partition("/resolve/")[0]
    words = path.split("/")
    return "/".join(words[:3] if words[0] == "datasets" else words[:2])
