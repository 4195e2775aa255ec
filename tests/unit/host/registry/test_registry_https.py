"""A promotion to a https registry stays on https, whatever address the registry names.

A port without TLS listens to what is sent there.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from support.promotion_fixture import CANDIDATE, FIXED, NAME, PromotionTestbed
from support.registries import tls_registry
from support.registries.fake_registry import FakeRegistry, response
from support.registries.tls_registry import PlainListener

from vldock.host.errors import RegistryDenied, RegistryFailed
from vldock.host.promotion import workflow
from vldock.host.registry import reference as registry_reference
from vldock.host.registry.auth import Credentials
from vldock.host.registry.connection import RegistryOptions
from vldock.host.registry.reference import Repository
from vldock.host.util.retry import RetryPolicy

PASSWORD = "a secret of the tests"
BASIC = Credentials("me", PASSWORD).basic


@dataclass
class Town:
    """A locked registry over TLS, a port without TLS, and the lines printed.

    The registry names addresses of the form `named`.
    """

    testbed: PromotionTestbed
    port: int
    listener: PlainListener
    said: list[str]
    named: str = "{path}"
    what: str = "Location"

    @property
    def host(self) -> str:
        """HOST:PORT of the registry."""
        return f"localhost:{self.port}"

    def promote(self) -> None:
        """Promote one image to it as the command does."""
        image = self.testbed.image()
        wish = replace(self.testbed.request(self.testbed.receipt(image)), target=Repository(self.host, NAME))
        places = workflow.PromotionTarget(
            RegistryOptions(patience=RetryPolicy(2, 0, 0)), self.testbed.log, False, self.said.append
        )
        source = registry_reference.parse_source(f"tar:{image.path}")
        workflow.promote(source, wish, places, confirm=True, show=lambda plan: None)

    def address(self, path: str) -> str:
        """Return the address the registry names for a path."""
        return self.named.format(port=self.port, listener=self.listener.port, path=path)

    def trouble(self, number: int, request: requests.PreparedRequest) -> requests.Response | None:
        """Demand credentials, and redirect the requests of `what`."""
        if request.url and "/token" in request.url:
            fine = request.headers.get("Authorization") == BASIC
            return response(request, 200 if fine else 401, b'{"token": "tok"}')
        wanted, challenge = BASIC, 'Basic realm="r"'
        if self.what == "realm":
            wanted, challenge = "Bearer tok", f'Bearer realm="{self.address("/token")}",service="s",scope="x"'
        if request.headers.get("Authorization") != wanted:
            return response(request, 401, headers={"WWW-Authenticate": challenge})
        redirected = {"blob": ("GET", "/blobs/sha256:"), "POST": ("POST", "/uploads/")}.get(self.what)
        path = request.path_url
        if redirected and request.method == redirected[0] and redirected[1] in path and "again=1" not in path:
            return response(request, 307, headers={"Location": self.address(f"{path}?again=1")})
        return None

    def lie(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        """Name each upload by an address of the form `named`."""
        if self.what == "Location" and "Location" in answer.headers:
            answer.headers["Location"] = self.address(answer.headers["Location"])


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of this machine."""
    return tls_registry.certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def town(tmp_path: Path, pem: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A registry whose certificate and password are known to this machine."""
    testbed = PromotionTestbed(tmp_path)
    made: list[Town] = []
    with (
        tls_registry.listening() as listener,
        tls_registry.serving(testbed.registry, pem, edit=lambda request, answer: made[0].lie(request, answer)) as port,
    ):
        made.append(Town(testbed, port, listener, []))
        testbed.registry.trouble = made[0].trouble
        secret = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {made[0].host: {"auth": secret}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        yield made[0]


WHAT = ["Location", "blob", "POST", "realm"]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(
    "named",
    [
        "http://localhost:{port}{path}",
        "http://localhost{path}",
        "http://localhost:{listener}{path}",
    ],
    ids=["its port", "no port", "another port"],
)
def test_a_registry_that_names_itself_with_http_is_asked_over_https(town: Town, what: str, named: str) -> None:
    town.what, town.named = what, named

    town.promote()

    assert set(town.testbed.tags()) == {FIXED, CANDIDATE}
    assert town.listener.received == []
    assert len([line for line in town.said if "https is kept" in line]) == 1


@pytest.mark.parametrize("what", WHAT)
def test_a_registry_that_names_another_host_with_http_is_31_and_nothing_goes_there(town: Town, what: str) -> None:
    town.what, town.named = what, "http://127.0.0.1:{listener}{path}"

    with pytest.raises(RegistryFailed) as caught:
        town.promote()

    assert f"https://{town.host}/ sends us to http://127.0.0.1" in caught.value.render()
    assert town.listener.received == []
    assert town.testbed.tags() == {}


@pytest.mark.parametrize("named", ["//localhost:{port}{path}", "https://localhost:{port}{path}", "{path}"])
def test_a_registry_that_stays_on_https_is_followed_without_a_word(town: Town, named: str) -> None:
    town.named = named

    town.promote()

    assert set(town.testbed.tags()) == {FIXED, CANDIDATE}
    assert not any("https is kept" in line for line in town.said)


def test_a_redirect_to_another_https_host_gets_no_password(
    town: Town, pem: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[str | None] = []
    store = FakeRegistry()
    store.blobs = town.testbed.registry.blobs
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def note(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        seen.append(request.headers.get("Authorization"))
        return None

    store.trouble = note
    with tls_registry.serving(store, pem) as port:
        town.what, town.named = "blob", f"https://127.0.0.1:{port}{{path}}"
        town.promote()

    assert set(town.testbed.tags()) == {FIXED, CANDIDATE}
    assert set(seen) == {None}


def test_an_identity_token_follows_no_redirect(town: Town, tmp_path: Path) -> None:
    posted: list[str] = []

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        posted.append(f"{request.method} {request.path_url}")
        if request.path_url == "/token":
            return response(request, 307, headers={"Location": "/elsewhere"})
        realm = f'Bearer realm="https://{town.host}/token"'
        return response(request, 401, headers={"WWW-Authenticate": realm})

    town.testbed.registry.trouble = trouble
    (tmp_path / "config.json").write_text(json.dumps({"auths": {town.host: {"identitytoken": PASSWORD}}}))

    with pytest.raises(RegistryDenied, match="307"):
        town.promote()
    assert "POST /token" in posted
    assert not any("elsewhere" in line for line in posted)


NOWHERE = ["http://", "https://[", "ftp://localhost/x", "https://localhost:99999/", "file:///etc/passwd", "http:///x"]


@pytest.mark.parametrize("named", [*NOWHERE, "https://:80", "javascript:x", "https://a b/"])
def test_a_location_that_is_no_address_is_31(town: Town, named: str) -> None:
    town.named = named

    with pytest.raises(RegistryFailed, match=re.escape(town.host)):
        town.promote()
    assert town.listener.received == []
