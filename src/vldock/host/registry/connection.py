"""Connection to registries: TLS, retries and stored credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vldock.host.registry import auth as registry_auth
from vldock.host.registry.client import Remote
from vldock.host.registry.reference import Repository
from vldock.host.registry.transport import Http
from vldock.host.util.console import Say
from vldock.host.util.retry import RetryPolicy


@dataclass(frozen=True)
class RegistryOptions:
    """Options of a connection: plain http, and the retry policy."""

    plain_http: bool = False
    patience: RetryPolicy = field(default_factory=RetryPolicy)

    @contextmanager
    def open(self, repository: Repository, *, say: Say) -> Iterator[Remote]:
        """Yield a repository, with docker's credentials for its host."""
        credentials = registry_auth.docker_credentials(repository.host, say=say)
        http = Http(repository, credentials=credentials, plain_http=self.plain_http, patience=self.patience, say=say)
        try:
            yield Remote(http)
        finally:
            http.close()


def options_from(*, plain_http: bool, attempts: int) -> RegistryOptions:
    """Return the options of --plain-http and --attempts."""
    return RegistryOptions(plain_http, RetryPolicy(attempts=attempts))
