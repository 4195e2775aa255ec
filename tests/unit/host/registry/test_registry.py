"""The registry client: lost connections, 'later' answers, passwords that go nowhere else, names of images."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import requests
from support.registries.fake_registry import HOST, FakeRegistry, response

from vldock.common.errors import UsageError
from vldock.host.errors import Damaged, RegistryDenied, RegistryFailed
from vldock.host.registry import auth as registry_auth
from vldock.host.registry import reference as registry_reference
from vldock.host.registry.address import Home
from vldock.host.registry.auth import Credentials
from vldock.host.registry.client import OCI_MANIFEST, Descriptor, Manifest, Remote, sha256
from vldock.host.registry.transport import Http
from vldock.host.registry.upload import mount, upload
from vldock.host.util.retry import RetryPolicy

CONTENT = bytes(range(256)) * 40
BLOB = Descriptor.of(CONTENT, "application/octet-stream")


@pytest.fixture
def fake() -> FakeRegistry:
    """An empty registry."""
    return FakeRegistry()


def failing(fake: FakeRegistry, method: str, times: int, how: Any) -> None:
    """Let the next `times` requests of a method fail: with a status, or by raising."""
    left = [times]

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if request.method != method or left[0] == 0:
            return None
        left[0] -= 1
        if isinstance(how, int):
            return response(request, how, b'{"errors": [{"code": "UNKNOWN", "message": "no space left"}]}')
        raise how

    fake.trouble = trouble


@pytest.mark.parametrize("part", [1000, 10240, 1 << 20], ids=["many parts", "exactly one", "one and room"])
def test_a_blob_arrives_whole_in_any_number_of_parts(fake: FakeRegistry, part: int) -> None:
    upload(fake.remote("a"), BLOB, io.BytesIO(CONTENT), part=part)

    assert fake.blobs["a", BLOB.digest] == CONTENT


@pytest.mark.parametrize("how", [500, 503, 429, requests.ConnectionError("gone"), requests.Timeout("slow")], ids=str)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_two_failures_are_survived(fake: FakeRegistry, method: str, how: Any) -> None:
    failing(fake, method, 2, how)

    upload(fake.remote("a"), BLOB, io.BytesIO(CONTENT), part=4000)

    assert fake.blobs["a", BLOB.digest] == CONTENT


def test_a_part_whose_answer_was_lost_is_not_sent_twice(fake: FakeRegistry) -> None:
    lost = [True]

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if request.method == "PATCH" and lost[0]:
            lost[0] = False
            fake._answer(request)
            raise requests.ConnectionError("the answer was lost")
        return None

    fake.trouble = trouble
    upload(fake.remote("a"), BLOB, io.BytesIO(CONTENT), part=4000)

    assert fake.blobs["a", BLOB.digest] == CONTENT


def test_an_upload_the_registry_forgot_is_begun_again(fake: FakeRegistry) -> None:
    forgot = [True]

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if request.method == "PATCH" and forgot[0] and any(fake.uploads.values()):
            forgot[0] = False
            fake.uploads.clear()
            raise requests.ConnectionError("restarted")
        return None

    fake.trouble = trouble
    upload(fake.remote("a"), BLOB, io.BytesIO(CONTENT), part=4000)

    assert fake.blobs["a", BLOB.digest] == CONTENT


def test_a_part_taken_and_not_stored_whole_is_noticed_and_sent_again(fake: FakeRegistry) -> None:
    """What Debian's registry does on a full disk: 202 to the part, 404 BLOB_UPLOAD_INVALID to the end."""
    short = [True]

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if request.method == "PUT" and short[0]:
            short[0] = False
            fake.uploads.clear()
            return response(request, 404, b'{"errors": [{"code": "BLOB_UPLOAD_INVALID"}]}')
        return None

    fake.trouble = trouble
    upload(fake.remote("a"), BLOB, io.BytesIO(CONTENT))

    assert fake.blobs["a", BLOB.digest] == CONTENT


def test_a_registry_that_never_stores_a_part_whole_is_told_in_its_own_words(fake: FakeRegistry) -> None:
    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if request.method == "PUT":
            return response(request, 404, b'{"errors": [{"code": "BLOB_UPLOAD_INVALID"}]}')
        return None

    fake.trouble = trouble
    with pytest.raises(RegistryFailed, match=r"3 times: BLOB_UPLOAD_INVALID"):
        upload(fake.remote("a", attempts=3), BLOB, io.BytesIO(CONTENT))


def test_an_upload_forgotten_every_time_ends(fake: FakeRegistry) -> None:
    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        if request.method == "PATCH":
            fake.uploads.clear()
            raise requests.ConnectionError("restarted")
        return None

    fake.trouble = trouble
    with pytest.raises(RegistryFailed, match="lost the upload"):
        upload(fake.remote("a"), BLOB, io.BytesIO(CONTENT))


def test_a_registry_that_stays_full_is_told_in_its_own_words(fake: FakeRegistry) -> None:
    failing(fake, "PATCH", 99, 500)

    with pytest.raises(RegistryFailed, match="no space left") as caught:
        upload(fake.remote("a", attempts=3), BLOB, io.BytesIO(CONTENT))
    assert "goes on from here" in str(caught.value.hint)
    assert [method for method, _ in fake.requests].count("PATCH") == 3


def test_what_cannot_get_better_is_not_tried_again(fake: FakeRegistry) -> None:
    failing(fake, "PUT", 99, 400)

    with pytest.raises(RegistryFailed, match="400"):
        fake.remote("a").put_manifest(Manifest(b"{}", OCI_MANIFEST), "tag")
    assert len(fake.requests) == 1


def test_the_pause_a_registry_asks_for_is_kept(fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    remote = fake.remote("a")
    remote.http.patience = RetryPolicy(attempts=3, longest=60, first=1)
    asked = iter(["7", "900"])

    def trouble(number: int, request: requests.PreparedRequest) -> requests.Response | None:
        after = next(asked, None)
        return response(request, 429, headers={"Retry-After": after}) if after else None

    fake.trouble = trouble
    remote.has(BLOB)

    assert pauses == [7, 60]


def test_a_blob_of_other_bytes_is_damage(fake: FakeRegistry) -> None:
    fake.blobs["a", BLOB.digest] = CONTENT[:-1] + b"?"

    with pytest.raises(Damaged, match=BLOB.digest):
        fake.remote("a").fetch(BLOB, io.BytesIO())
    with pytest.raises(Damaged, match=BLOB.digest):
        fake.remote("a").read(BLOB)


def test_a_blob_of_another_size_is_not_there(fake: FakeRegistry) -> None:
    fake.blobs["a", BLOB.digest] = CONTENT[:-1]

    assert not fake.remote("a").has(BLOB)


def test_a_manifest_of_other_bytes_is_damage(fake: FakeRegistry) -> None:
    digest = sha256(b"asked for")
    fake.manifests["a", digest] = (b"given", OCI_MANIFEST)

    with pytest.raises(Damaged):
        fake.remote("a").manifest(digest)


def test_a_blob_is_taken_over_from_a_neighbour(fake: FakeRegistry) -> None:
    fake.blobs["a", BLOB.digest] = CONTENT

    assert mount(fake.remote("b"), BLOB, "a")
    assert not mount(fake.remote("b"), Descriptor.of(b"x", ""), "a")
    assert (set(fake.blobs), fake.uploads) == ({("a", BLOB.digest), ("b", BLOB.digest)}, {})


def locked(fake: FakeRegistry, challenge: str, wanted: str) -> None:
    """Ask for an Authorization header."""

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


BEARER = f'Bearer realm="https://auth.test/token",service="{HOST}",scope="repository:a:pull,push"'


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

    assert registry_auth.from_docker("127.0.0.1:5000") == Credentials("me", "secret")
    assert registry_auth.from_docker("elsewhere.test") == Credentials()


def test_credentials_come_from_a_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\ncat > /dev/null\necho \'{"Username": "me", "Secret": "secret"}\'\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"registry.test": "test"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    assert registry_auth.from_docker("registry.test") == Credentials("me", "secret")


def test_a_secret_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Credentials("me", "secret", "secret"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("vldock:4.37", "engine"),
        ("team/vldock:4.37", "engine"),
        ("engine:registry.test/vldock:4.37", "engine"),
        ("registry.test/vldock:4.37", "registry"),
        ("localhost/vldock:4.37", "registry"),
        ("127.0.0.1:5000/team/vldock@sha256:" + "0" * 64, "registry"),
        ("registry:ghcr.io/team/vldock:4.37", "registry"),
        ("tar:/tmp/image.tar", "tar"),
    ],
)
def test_a_source_is_where_its_name_says(text: str, kind: str) -> None:
    assert registry_reference.source(text).kind == kind


@pytest.mark.parametrize(
    "text",
    ["vldock", "nohost/vldock", "a.test/", "a.test/UPPER", "a.test/x:bad tag", "a.test/x@sha256:1", "a.test/../x"],
)
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        registry_reference.destination(text)


def test_several_tags_are_read_once_each_in_their_order() -> None:
    assert registry_reference.destination("a.test:5000/x:two,one,two")[1] == ("two", "one")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("127.8.0.1", True),
        ("localhost:1", True),
        ("127.0.0.1.evil.test", False),
        ("a.test", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert registry_reference.Repository(host, "x").loopback is loopback


def test_a_registry_elsewhere_is_spoken_to_by_https() -> None:
    assert Http(registry_reference.Repository("a.test", "x")).url("/v2/") == "https://a.test/v2/"


@pytest.mark.parametrize(
    ("error", "scheme"),
    [
        ("CERTIFICATE_VERIFY_FAILED: self-signed certificate", "https"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "https"),
        ("UNSUPPORTED_PROTOCOL", "https"),
        ("WRONG_VERSION_NUMBER", "http"),
    ],
    ids=["a certificate we do not trust", "one of ours is wanted", "an old TLS", "no TLS at all"],
)
def test_on_this_machine_http_is_spoken_only_where_nobody_speaks_tls(error: str, scheme: str) -> None:
    class Adapter(FakeRegistry):
        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # type: ignore[override]
            raise requests.exceptions.SSLError(error)

    session = requests.Session()
    session.mount("https://", Adapter())

    assert Http(registry_reference.Repository("127.0.0.1:1", "x"), session=session).scheme() == scheme
