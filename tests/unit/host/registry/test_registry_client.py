"""The registry client: lost connections, deferrals, blobs and manifests of other bytes."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from support.registries.fake_registry import FakeRegistry, response

from vldock.host.errors import Damaged, RegistryFailed
from vldock.host.registry.client import OCI_MANIFEST, Descriptor, Manifest, sha256
from vldock.host.registry.upload import mount, upload
from vldock.host.util.retry import RetryPolicy

CONTENT = bytes(range(256)) * 40
BLOB = Descriptor.of(CONTENT, "application/octet-stream")


def failing(fake: FakeRegistry, method: str, times: int, how: Any) -> None:
    """Make the next `times` requests of a method fail, by a status or by raising."""
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
