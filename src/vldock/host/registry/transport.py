"""HTTP to one registry: retries, credentials, and errors with a next step."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from vldock import __version__
from vldock.host.errors import RegistryDenied, RegistryFailed
from vldock.host.registry.address import Home
from vldock.host.registry.answer import DISTRIBUTION, NUMBER, in_one_line, location_header, status_text
from vldock.host.registry.auth import Credentials, RegistryAuth
from vldock.host.registry.reference import Repository
from vldock.host.util import retry
from vldock.host.util.console import Say, silent
from vldock.host.util.https_session import use_no_proxy
from vldock.host.util.redaction import bare_url, clean_message
from vldock.host.util.retry import AGAIN, LOST, Result, RetryableError, RetryPolicy

CONNECT_SECONDS, READ_SECONDS = 10, 60
REDIRECTS = 10
# What OpenSSL says where the other side does not speak TLS at all; any other failure is one of a registry with TLS.
NO_TLS = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST")
ABLE = "a registry that answers and has room"
GO_ON = "start it, or free its disk; the same command again goes on from here"


class Http:
    """A session with the registry of one repository."""

    def __init__(
        self,
        repository: Repository,
        *,
        credentials: Credentials | None = None,
        plain_http: bool = False,
        patience: RetryPolicy | None = None,
        say: Say = silent,
        session: requests.Session | None = None,
    ) -> None:
        self.repository = repository
        self.patience = patience or RetryPolicy()
        self.say = say
        self.session = session or requests.Session()
        self.session.headers["User-Agent"] = f"vldock/{__version__}"
        if repository.loopback:
            use_no_proxy(self.session)
        self.plain_http = plain_http
        self.auth = RegistryAuth(lambda: self.home, credentials or Credentials())
        self.session.auth = self.auth
        self._told = False
        self._scheme: str | None = "http" if plain_http else None if repository.loopback else "https"

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    @property
    def home(self) -> Home:
        """The registry's own address."""
        return Home(self.scheme(), self.repository.address, plain_http=self.plain_http)

    def url(self, path: str, *, base: str | None = None) -> str:
        """Return the full address of an API path or Location.

        A path or a Location header is relative to `base`. Raises RegistryFailed for one that leaves https.
        """
        url = self.home.resolve(path, base=base)
        if path.lower().startswith("http:") and url.startswith("https:") and not self._told:
            self._told = True
            shown = in_one_line(bare_url(path))
            self.say(f"{self.repository.host} names itself {shown} (its proxy hides TLS from it): https is kept")
        return url

    def next_url(self, answer: requests.Response) -> str:
        """Return the address of an upload's next request; raises RegistryFailed without one."""
        return self.url(location_header(answer), base=answer.url)

    def scheme(self) -> str:
        """Return https; on this machine http where the registry does not speak TLS.

        docker itself does so.
        """
        if self._scheme is None:
            try:
                probe = f"https://{self.repository.address}/v2/"
                self.session.get(probe, timeout=CONNECT_SECONDS, auth=lambda r: r, allow_redirects=False)
                self._scheme = "https"
            except requests.exceptions.SSLError as error:
                if "EOF" in str(error):
                    return "http"  # not decided: it hung up
                self._scheme = "http" if NO_TLS.search(str(error)) else "https"
            except LOST:
                return "http"  # not decided: it may not be up yet
        return self._scheme

    def request(self, method: str, path: str, *, ok: tuple[int, ...] = (200,), **options: Any) -> requests.Response:
        """Send a request until it is answered.

        `path` is of the API, or a full address.

        Raises RegistryFailed when it does not answer or answers with an unlisted status, RegistryDenied for 401, 403.
        """
        return self.retry(lambda: self.request_once(method, path, ok=ok, **options), what=f"{method} {path}")

    def request_once(
        self, method: str, path: str, *, ok: tuple[int, ...] = (200,), **options: Any
    ) -> requests.Response:
        """Send a request once; raises RetryableError where another try may help.

        Other errors are those of `request`.
        """
        try:
            url = self.url(path)
            response = self._send(method, url, **options)
            if response.status_code == 401 and self.auth.answer(response, self._send, self.url):
                response.close()
                response = self._send(method, url, **options)
        except requests.exceptions.SSLError as error:
            raise RegistryFailed(
                f"{self.repository.host}: {clean_message(error)}",
                expected="a certificate this machine trusts",
                hint="REQUESTS_CA_BUNDLE=FILE.pem for a CA of your own; --plain-http where there is no TLS",
            ) from error
        except LOST as error:
            raise RetryableError(clean_message(error)) from error
        except (requests.RequestException, HTTPError, ValueError) as error:  # an address or header that is none
            message = f"{self.repository.host}: {method} {bare_url(path)}: {clean_message(error)}"
            raise RegistryFailed(message, expected=DISTRIBUTION) from error
        if response.status_code in ok:
            return response
        raise self._status_error(method, path, response)

    def _send(self, method: str, url: str, *, redirects: int = REDIRECTS, **options: Any) -> requests.Response:
        """Send a request and follow its redirects.

        Each address is checked and gets its own headers.
        """
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        for _ in range(redirects + 1):
            response = self.session.request(method, url, timeout=timeout, allow_redirects=False, **options)
            same_method = method in ("GET", "HEAD") or response.status_code in (307, 308)
            if not (response.is_redirect and same_method):
                return response
            url = self.next_url(response)
            options.pop("params", None)
            response.close()
        return response

    def _status_error(self, method: str, path: str, response: requests.Response) -> Exception:
        reason = f"{method} {bare_url(path)}: {status_text(response)}"
        if response.status_code in AGAIN:
            after = response.headers.get("Retry-After", "")
            return RetryableError(reason, after=float(after) if NUMBER.fullmatch(after) else None)
        if response.status_code in (401, 403):
            who = self.auth.credentials.user or "nobody: no credentials are stored for it"
            return RegistryDenied(
                f"{self.repository.host} refuses {who}: {reason}",
                expected=f"a user who may read and write {self.repository.name}",
                hint=f"docker login {self.repository.host}",
            )
        if response.status_code == 413:
            return self.too_large(reason)
        return RegistryFailed(f"{self.repository.host}: {reason}", expected=DISTRIBUTION)

    def too_large(self, reason: str) -> RegistryFailed:
        """Return the error for a request of too many bytes.

        The request is too large for a proxy or the registry.
        """
        return RegistryFailed(
            f"{self.repository.host}: a proxy before it, or it itself, limits the size of a request: {reason}",
            expected="a limit above what was sent",
            hint="raise it there (nginx: client_max_body_size 0;), or name the registry's address behind the proxy",
        )

    def retry(self, work: Callable[[], Result], *, what: str) -> Result:
        """Call `work`, with pauses, until it raises no RetryableError.

        Raises RegistryFailed after the last attempt of the policy.
        """

        def gave_up(error: RetryableError) -> RegistryFailed:
            return RegistryFailed(
                f"{self.repository.host} gave up on {what} after {self.patience.attempts} attempts: {error}",
                expected=ABLE,
                hint=GO_ON,
            )

        return retry.retry(
            work,
            policy=self.patience,
            log=lambda line: self.say(f"{self.repository.host}: {line}"),
            on_exhausted=gave_up,
        )
