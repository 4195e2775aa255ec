"""How a command talks to registries: with or without TLS, how often it tries, with whose credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vldock.host.registry import auth as registry_auth
from vldock.host.registry.client import Remote
from vldock.host.registry.reference import Repository
from vldock.host.registry.transport import Http
from vldock.host.util.console import Say
from vldock.host.util.retry import Patience


@dataclass(frozen=True)
class Line:
    """How to talk to registries: without TLS, and how often to try."""

    plain_http: bool = False
    patience: Patience = field(default_factory=Patience)

    @contextmanager
    def open(self, repository: Repository, *, say: Say) -> Iterator[Remote]:
        """Yield the repository, with the credentials docker has for its host."""
        credentials = registry_auth.from_docker(repository.host, say=say)
        http = Http(repository, credentials=credentials, plain_http=self.plain_http, patience=self.patience, say=say)
        try:
            yield Remote(http)
        finally:
            http.close()


def line(*, plain_http: bool, attempts: int) -> Line:
    """Return the connection the options --plain-http and --attempts describe."""
    return Line(plain_http, Patience(attempts=attempts))
