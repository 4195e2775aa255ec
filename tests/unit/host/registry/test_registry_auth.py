"""Credentials: their sources, and the origins they are shown to."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
import requests
from support.registries.fake_registry import HOST, FakeRegistry, response

from vldock.host.errors import RegistryDenied
from vldock.host.registry import auth as registry_auth
from vldock.host.registry.address import Home
from vldock.host.registry.auth import Credentials, RegistryAuth
from vldock.host.registry.client import Descriptor, Remote
from vldock.host.registry.upload import upload

CONTENT = bytes(range(256)) * 40
BLOB = Descriptor.of(CONTENT, "application/octet-stream")
PASSWORD = "a secret of the tests"
BASIC = Credentials("me", PASSWORD).basic
BEARER = f'Bearer realm="https://auth.test/token",service="{HOST}",scope="repository:a:pull,push"'


def locked(fake: FakeRegistry, challenge: str, wanted: str) -> None:
    """Demand an Authorization header of every request."""

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if str(request.url).startswith("https://auth.test"):
            fine = request.headers.get("Authorization") == Credentials("me", "secret").basic
            return response(request, 200 if fine else 401, json.dumps({"token": "tok"}).encode())
        if request.headers.get("Authorization") != wanted:
            return response(request, 401, headers={"WWW-Authenticate": challenge})
        return None

    fake.trouble = trouble


def client(fake: FakeRegistry, credentials: Credentials) -> Remote:
    """Return a client with credentials."""
    remote = fake.remote("a")
    remote.http.session.mount("https://auth.test/", fake)
    remote.http.auth.credentials = credentials
    return remote


@pytest.mark.parametrize(
    ("challenge", "wanted"),
    [('Basic realm="r"', Credentials("me", "secret").basic), (BEARER, "Bearer tok")],
    ids=["basic", "bearer"],
)
def test_credentials_are_shown_when_asked_for_and_kept(fake: FakeRegistry, challenge: str, wanted: str) -> None:
    locked(fake, challenge, wanted)
    remote = client(fake, Credentials("me", "secret"))

    upload(remote, BLOB, io.BytesIO(CONTENT))
    asked = len(fake.requests)
    remote.has(BLOB)

    assert len(fake.requests) == asked + 1


@pytest.mark.parametrize("challenge", ['Basic realm="r"', BEARER], ids=["basic", "bearer"])
@pytest.mark.parametrize("credentials", [Credentials(), Credentials("me", "wrong")], ids=["none", "wrong"])
def test_other_credentials_are_denied_with_the_way_to_log_in(
    fake: FakeRegistry, challenge: str, credentials: Credentials
) -> None:
    locked(fake, challenge, "nothing is good enough")

    with pytest.raises(RegistryDenied) as caught:
        client(fake, credentials).manifest("tag")
    assert f"docker login {HOST}" in str(caught.value.hint)
    assert "wrong" not in caught.value.render()


def test_a_password_does_not_follow_an_upload_to_another_host(fake: FakeRegistry) -> None:
    seen: dict[str, str | None] = {}

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        seen[str(request.url).split("/")[2]] = request.headers.get("Authorization")
        elsewhere = {"Location": "https://auth.test/upload/1"}
        return response(request, 201 if request.method == "PUT" else 202, headers=elsewhere)

    fake.trouble = trouble
    remote = client(fake, Credentials("me", "secret"))
    remote.http.auth.header = "Basic secret"
    upload(remote, BLOB, io.BytesIO(CONTENT))

    assert seen == {HOST: "Basic secret", "auth.test": None}


def test_no_password_over_plain_http_to_another_machine() -> None:
    auth = registry_auth.RegistryAuth(lambda: Home("http", "far.test"), Credentials("me", "secret"))
    answer = response(requests.Request("GET", "http://far.test/v2/").prepare(), 401)
    answer.headers["WWW-Authenticate"] = 'Basic realm="r"'

    with pytest.raises(RegistryDenied, match="plain http"):
        auth.answer(answer, requests.request, str)


def test_credentials_come_from_dockers_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = base64.b64encode(b"me:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"127.0.0.1:5000": {"auth": secret}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    assert registry_auth.docker_credentials("127.0.0.1:5000") == Credentials("me", "secret")
    assert registry_auth.docker_credentials("elsewhere.test") == Credentials()


def test_credentials_come_from_a_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\ncat > /dev/null\necho \'{"Username": "me", "Secret": "secret"}\'\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"registry.test": "test"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert registry_auth.docker_credentials("registry.test") == Credentials("me", "secret")


def test_a_secret_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Credentials("me", "secret", "secret"))


def test_another_hosts_challenge_is_not_answered_with_the_password() -> None:
    asked: list[str] = []
    auth = RegistryAuth(lambda: Home("https", "far.test"), Credentials("me", PASSWORD))
    answer = response(requests.Request("GET", "https://storage.test/blob").prepare(), 401)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="https://storage.test/token"'

    assert not auth.answer(answer, lambda method, url, **options: asked.append(url), str)  # type: ignore[func-returns-value]
    assert (asked, auth.header) == ([], None)


@pytest.mark.parametrize(
    "url",
    ["http://a.test/", "https://a.test:444/", "https://b.test/", "https://a.test@b.test/", "https://a.test.b.test/"],
)
def test_a_password_is_for_one_scheme_host_and_port(url: str) -> None:
    auth = RegistryAuth(lambda: Home("https", "a.test"), Credentials("me", PASSWORD))
    auth.header = BASIC

    assert "Authorization" not in auth(requests.Request("GET", url).prepare()).headers
    assert auth(requests.Request("GET", "https://A.test:443/").prepare()).headers["Authorization"] == BASIC
