"""Addresses named by a registry, and the origin of a password.

An https address remains https; a password goes to its origin only.

A registry names other addresses in Location headers, redirects and token realms. One behind a proxy that ends TLS often
names itself with http:// (distribution issue 996): it is contacted over https all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

from vldock.host.errors import RegistryFailed
from vldock.host.registry.answer import in_one_line
from vldock.host.registry.reference import LOOPBACK
from vldock.host.util.redaction import bare_url

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of an address; the port is never left out."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of an address; ValueError where it is none."""
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("no host")
        return cls(parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme))


@dataclass(frozen=True)
class Home:
    """A registry's own address as the user gave it.

    With `plain_http`, http is allowed to any host.
    """

    scheme: str
    address: str
    plain_http: bool = False

    @property
    def url(self) -> str:
        """https://HOST[:PORT]/"""
        return f"{self.scheme}://{self.address}/"

    def owns(self, url: str) -> bool:
        """Whether an address has the registry's scheme, host and port."""
        try:
            return Origin.of(url) == Origin.of(self.url)
        except ValueError:
            return False

    def resolve(self, path: str, *, base: str | None = None) -> str:
        """Return the address of a path, relative to `base`.

        Plain http of the registry itself becomes https.

        Raises RegistryFailed for plain http elsewhere, and for what is no address.
        """
        try:
            url = urljoin(base or self.url, path)
            origin = Origin.of(url)
        except ValueError as error:
            raise self._refusal(path, str(error)) from error
        if origin.scheme == "https" or (origin.scheme == "http" and self._may_be_plain(url)):
            return url
        if origin.scheme == "http" and origin.host == Origin.of(self.url).host:
            return urlunsplit(("https", self.address, *urlsplit(url)[2:]))
        raise self._refusal(url, "neither https nor the registry itself")

    def _may_be_plain(self, url: str) -> bool:
        return self.plain_http or (self.scheme == "http" and LOOPBACK.match(urlsplit(url).netloc) is not None)

    def _refusal(self, url: str, why: str) -> RegistryFailed:
        try:
            shown = in_one_line(bare_url(url))
        except ValueError:
            shown = repr(in_one_line(url))
        return RegistryFailed(
            f"{self.url} sends us to {shown}: {why}; nothing was sent there",
            expected="https, as the registry was asked for",
            hint="whoever runs it sets its address to https (distribution: http.host, or storage.redirect.disable)",
        )
