"""Authentication to a registry: docker's stored credentials, basic and bearer.

Credentials come from docker's config.json and credential helpers.

Tokens: https://distribution.github.io/distribution/spec/auth/token/. A password goes to the registry it is for and to
the token service that registry names, over https (or plain http on this machine), and nowhere else: not to where a blob
upload is redirected, and not where another host's challenge asks for it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from vldock.host.errors import RegistryDenied
from vldock.host.registry.address import Home, Origin
from vldock.host.registry.answer import in_one_line, parse_json, status_text, unexpected
from vldock.host.registry.reference import LOOPBACK
from vldock.host.util.console import Say, silent
from vldock.host.util.redaction import bare_url
from vldock.host.util.retry import AGAIN, RetryableError

PARAMETER = re.compile(r'(\w+)="([^"]*)"')
VISIBLE = re.compile(r"[!-~]+")
CLIENT_ID = "vldock"
HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Credentials:
    """User name and password, or an identity token; empty for an anonymous user."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """Value of a basic Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def docker_credentials(host: str, *, say: Say = silent) -> Credentials:
    """Return the credentials `docker login` stored for a host; empty where none.

    Read from config.json or a credential helper.
    """
    from docker.auth import load_config
    from docker.errors import DockerException

    key = HUB_KEY if host.endswith("docker.io") else host
    try:
        found = dict[str, Any](load_config().resolve_authconfig(key) or ())
    except DockerException as error:
        say(f"credentials for {host}: docker's helper failed: {error}")
        return Credentials()
    user, password = found.get("username") or found.get("Username"), found.get("password") or found.get("Password")
    token = found.get("identitytoken") or found.get("IdentityToken") or ""
    return Credentials(user or "", password or "", token)


# Sends a request: method, url, then arguments of requests.
Send = Callable[..., requests.Response]


class RegistryAuth(AuthBase):
    """Authorization header of the last challenge, for the registry's own origin only."""

    def __init__(self, home: Callable[[], Home], credentials: Credentials) -> None:
        self.home = home
        self.credentials = credentials
        self.header: str | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Authorize a request to the registry's own origin.

        requests calls it for each request, also for each one a redirect leads to.
        """
        if self.header and self.home().owns(request.url or ""):
            request.headers["Authorization"] = self.header
        return request

    def answer(self, response: requests.Response, send: Send, resolve: Callable[[str], str]) -> bool:
        """Answer the challenge of a 401; return whether the request is worth repeating.

        Another host's challenge is never answered.

        `resolve` returns the address to ask for a token, or raises.
        """
        challenge = response.headers.get("WWW-Authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        before = self.header
        self._refuse_open_line(response.url)
        if not self.home().owns(response.url):
            return False
        if scheme.lower() == "basic" and self.credentials.user:
            self.header = self.credentials.basic
        elif scheme.lower() == "bearer":
            fields = dict(PARAMETER.findall(rest))
            self.header = f"Bearer {self._token(resolve(fields.get('realm', '')), fields, send)}"
        return self.header is not None and self.header != before

    def _token(self, realm: str, challenge: dict[str, str], send: Send) -> str:
        """Return the token of the service a challenge names.

        A form with a secret in it follows no redirect.
        """
        self._refuse_open_line(realm)
        parameters = {name: challenge[name] for name in ("service", "scope") if name in challenge}
        if self.credentials.identity_token:
            form = parameters | {"grant_type": "refresh_token", "client_id": CLIENT_ID}
            form["refresh_token"] = self.credentials.identity_token
            answer = send("POST", realm, data=form, auth=_OneOriginHeader(realm), redirects=0)
        else:
            who = _OneOriginHeader(realm, self.credentials.basic if self.credentials.user else None)
            answer = send("GET", realm, params=parameters, auth=who)
        if answer.status_code in AGAIN:
            raise RetryableError(f"{in_one_line(bare_url(realm))} gave no token: {status_text(answer)}")
        if answer.status_code != 200:
            address = self.home().address
            raise RegistryDenied(
                f"{in_one_line(bare_url(realm))} gave no token for {address}: {status_text(answer)}",
                expected="the credentials of a user who may push",
                hint=f"docker login {address}",
            )
        body = parse_json(answer.content)
        token = (body.get("token") or body.get("access_token")) if isinstance(body, dict) else None
        if not (isinstance(token, str) and VISIBLE.fullmatch(token)):
            raise unexpected(answer, "no token", expected='{"token": "..."}')
        return token

    def _refuse_open_line(self, url: str) -> None:
        parts = urlsplit(url)
        secret = self.credentials.user or self.credentials.identity_token
        if secret and parts.scheme != "https" and not (self.home().plain_http or LOOPBACK.match(parts.netloc)):
            raise RegistryDenied(
                f"{in_one_line(bare_url(url))} asks for a password over plain http",
                expected="https, or a registry on this machine",
                hint="--plain-http sends it all the same",
            )


class _OneOriginHeader(AuthBase):
    """One header, or none, for one origin; stops requests from reading .netrc."""

    def __init__(self, url: str, header: str | None = None) -> None:
        self.origin = Origin.of(url)
        self.header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.header and Origin.of(request.url or "") == self.origin:
            request.headers["Authorization"] = self.header
        return request
