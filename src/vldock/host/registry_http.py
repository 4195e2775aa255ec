"""One registry over HTTP: retries, credentials, and errors a person can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests

from vldock import __version__
from vldock.host import retries
from vldock.host.console import Say, silent
from vldock.host.engine import plain
from vldock.host.refusals import RegistryDenied, RegistryFailed
from vldock.host.registry_auth import Credentials, RegistryAuth
from vldock.host.registry_ref import Repository
from vldock.host.retries import AGAIN, LOST, Again, Patience, Result

CONNECT_SECONDS, READ_SECONDS = 10, 60
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
        patience: Patience | None = None,
        say: Say = silent,
        session: requests.Session | None = None,
    ) -> None:
        self.repository = repository
        self.patience = patience or Patience()
        self.say = say
        self.session = session or requests.Session()
        self.session.headers["User-Agent"] = f"vldock/{__version__}"
        if repository.loopback:
            self.session.trust_env = False  # no proxy between us and this machine
        self.plain_http = plain_http
        self.auth = RegistryAuth(repository.address, credentials or Credentials(), plain_http=plain_http)
        self.session.auth = self.auth
        self._scheme: str | None = "http" if plain_http else None if repository.loopback else "https"

    def close(self) -> None:
        """Hang up."""
        self.session.close()

    def url(self, path: str, *, base: str | None = None) -> str:
        """Return the full address of a path of the API, or of a Location header relative to `base`."""
        return urljoin(base or f"{self.scheme()}://{self.repository.address}/", path)

    def scheme(self) -> str:
        """Return https; on this machine http where nobody speaks TLS, as docker itself does."""
        if self._scheme is None:
            try:
                self.session.get(f"https://{self.repository.address}/v2/", timeout=CONNECT_SECONDS, auth=lambda r: r)
                self._scheme = "https"
            except requests.exceptions.SSLError as error:
                self._scheme = "https" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "http"
            except LOST:
                return "http"  # not decided: it may not be up yet
        return self._scheme

    def ask(self, method: str, path: str, *, ok: tuple[int, ...] = (200,), **options: Any) -> requests.Response:
        """Send one request until it is answered; `path` is of the API, or a full address.

        Raises RegistryFailed when it does not answer or answers with an unlisted status, RegistryDenied for 401, 403.
        """
        return self.persist(lambda: self.once(method, path, ok=ok, **options), what=f"{method} {path}")

    def once(self, method: str, path: str, *, ok: tuple[int, ...] = (200,), **options: Any) -> requests.Response:
        """Send one request; raises Again where another try may help, else as `ask`."""
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        try:
            url = self.url(path)
            response = self.session.request(method, url, timeout=timeout, **options)
            if response.status_code == 401 and self.auth.answer(response, self.session, timeout=timeout):
                response.close()
                response = self.session.request(method, url, timeout=timeout, **options)
        except requests.exceptions.SSLError as error:
            raise RegistryFailed(
                f"{self.repository.host}: {plain(error)}",
                expected="a certificate this machine trusts",
                hint="REQUESTS_CA_BUNDLE=FILE.pem for a CA of your own; --plain-http where there is no TLS",
            ) from error
        except LOST as error:
            raise Again(plain(error)) from error
        if response.status_code in ok:
            return response
        raise self._unwanted(method, path, response)

    def _unwanted(self, method: str, path: str, response: requests.Response) -> Exception:
        said = f"{method} {path}: {response.status_code} {response.reason}: {words(response)}"
        if response.status_code in AGAIN:
            after = response.headers.get("Retry-After", "")
            return Again(said, after=float(after) if after.isdigit() else None)
        if response.status_code in (401, 403):
            who = self.auth.credentials.user or "nobody: no credentials are stored for it"
            return RegistryDenied(
                f"{self.repository.host} refuses {who}: {said}",
                expected=f"a user who may read and write {self.repository.name}",
                hint=f"docker login {self.repository.host}",
            )
        return RegistryFailed(f"{self.repository.host}: {said}", expected="a registry of the OCI distribution API, v2")

    def persist(self, work: Callable[[], Result], *, what: str) -> Result:
        """Call `work` again, with pauses, as long as it raises Again; raises RegistryFailed when patience ends."""

        def gave_up(error: Again) -> RegistryFailed:
            return RegistryFailed(
                f"{self.repository.host} gave up on {what} after {self.patience.attempts} attempts: {error}",
                expected=ABLE,
                hint=GO_ON,
            )

        return retries.persist(
            work, patience=self.patience, say=lambda line: self.say(f"{self.repository.host}: {line}"), gave_up=gave_up
        )


def words(response: requests.Response) -> str:
    """Return the registry's own words on an error, or nothing."""
    try:
        errors = response.json()["errors"]
        return "; ".join(
            " ".join(filter(None, (item.get("code"), item.get("message"), str(item.get("detail") or ""))))
            for item in errors
        )
    except (ValueError, KeyError, TypeError, AttributeError, *LOST):
        return "no reason given"
