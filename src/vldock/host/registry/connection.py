"""Options that several commands have in common for talking to a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click

from vldock.host.registry import auth as registry_auth
from vldock.host.registry.client import Remote
from vldock.host.registry.reference import Repository
from vldock.host.registry.transport import Http
from vldock.host.util.console import Say
from vldock.host.util.retry import Patience

Command = Callable[..., Any]


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


def options(command: Command) -> Command:
    """Add --plain-http and --attempts to a command; it gets them as plain_http and attempts."""
    command = click.option(
        "--attempts",
        type=click.IntRange(1, 50),
        default=Patience.attempts,
        show_default=True,
        help="How often a registry that does not answer, or says 'later', is asked.",
    )(command)
    return click.option(
        "--plain-http", is_flag=True, help="Speak http, not https, to a registry that is not on this machine."
    )(command)


def line(*, plain_http: bool, attempts: int) -> Line:
    """Return what these options ask for."""
    return Line(plain_http, Patience(attempts=attempts))
