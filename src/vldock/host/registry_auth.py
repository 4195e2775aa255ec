"""Who we are to a registry: docker's own config.json and credential helpers; basic authentication and bearer tokens.

Tokens: https://distribution.github.io/distribution/spec/auth/token/. A password goes to the registry it is for, over
https (or plain http on this machine), and nowhere else: not to where a blob upload is redirected.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from vldock.host.console import Say, silent
from vldock.host.refusals import RegistryDenied
from vldock.host.registry_ref import LOOPBACK

PARAMETER = re.compile(r'(\w+)="([^"]*)"')
CLIENT_ID = "vldock"
HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Credentials:
    """A user's name and password, or an identity token; empty: nobody in particular."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a basic Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def from_docker(host: str, *, say: Say = silent) -> Credentials:
    """Return what `docker login` left for this host, in config.json or a credential helper; empty where nothing."""
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


class RegistryAuth(AuthBase):
    """Adds the Authorization header of the last challenge to requests for the registry itself, and to no others."""

    def __init__(self, address: str, credentials: Credentials, *, plain_http: bool) -> None:
        self.address = address
        self.credentials = credentials
        self.plain_http = plain_http
        self.header: str | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Called by requests for each request; requests drops the header itself when redirected to another host."""
        if self.header and urlsplit(request.url or "").netloc == self.address:
            request.headers["Authorization"] = self.header
        return request

    def answer(self, response: requests.Response, session: requests.Session, *, timeout: Any) -> bool:
        """Take up the challenge of a 401; tell whether it is worth asking again."""
        challenge = response.headers.get("WWW-Authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        before = self.header
        self._refuse_open_line(response.url)
        if scheme.lower() == "basic" and self.credentials.user:
            self.header = self.credentials.basic
        elif scheme.lower() == "bearer":
            self.header = f"Bearer {self._token(dict(PARAMETER.findall(rest)), session, timeout)}"
        return self.header is not None and self.header != before

    def _token(self, challenge: dict[str, str], session: requests.Session, timeout: Any) -> str:
        realm = challenge.get("realm", "")
        self._refuse_open_line(realm)
        asked = {name: challenge[name] for name in ("service", "scope") if name in challenge}
        if self.credentials.identity_token:
            form = asked | {"grant_type": "refresh_token", "client_id": CLIENT_ID}
            form["refresh_token"] = self.credentials.identity_token
            answer = session.post(realm, data=form, auth=_Plain(), timeout=timeout)
        else:
            who = _Plain(self.credentials.basic if self.credentials.user else None)
            answer = session.get(realm, params=asked, auth=who, timeout=timeout)
        if answer.status_code != 200:
            raise RegistryDenied(
                f"{realm} gave no token for {self.address}: {answer.status_code} {answer.reason}",
                expected="the credentials of a user who may push",
                hint=f"docker login {self.address}",
            )
        said = answer.json()
        return str(said.get("token") or said.get("access_token"))

    def _refuse_open_line(self, url: str) -> None:
        parts = urlsplit(url)
        secret = self.credentials.user or self.credentials.identity_token
        if secret and parts.scheme != "https" and not (self.plain_http or LOOPBACK.match(parts.netloc)):
            raise RegistryDenied(
                f"{url} asks for a password over plain http",
                expected="https, or a registry on this machine",
                hint="--plain-http sends it all the same",
            )


class _Plain(AuthBase):
    """One given header, or none: keeps requests from reading .netrc."""

    def __init__(self, header: str | None = None) -> None:
        self.header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.header:
            request.headers["Authorization"] = self.header
        return request
