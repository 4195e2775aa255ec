"""Sizes of a blob's parts, as registry and proxies allow, and errors in their own words."""

from __future__ import annotations

import io

import pytest
import requests
from support.registries.fake_registry import FakeRegistry, body, response

from vldock.host.errors import RegistryFailed
from vldock.host.registry.client import OCI_MANIFEST, PART, Descriptor, Manifest, Remote
from vldock.host.registry.upload import upload
from vldock.host.util.retry import RetryPolicy

MIB = 1 << 20
LARGE = bytes(range(256)) * (9 << 12)  # 9 MiB
BLOB = Descriptor.of(LARGE, "application/octet-stream")
GHCR = (
    b'{"errors": [{"code": "REQUESTED_RANGE_NOT_SATISFIABLE", "message":'
    b' "the request body is too large and exceeds the maximum permissible limit of 4.00MiB"}]}'
)
NGINX = b"<html><head><title>413 Request Entity Too Large</title></head><body><hr>nginx/1.22.1</body></html>"


class Narrow(FakeRegistry):
    """A registry with a largest and a least size of a part; notes the sizes sent.

    The last part may be below `least`.
    """

    def __init__(self, *, limit: int = 1 << 40, least: int = 0, status: int = 416, said: bytes = b"") -> None:
        super().__init__()
        self.limit, self.least, self.status, self.said = limit, least, status, said
        self.forgets = False
        self.sizes: list[int] = []
        self.told: list[str] = []
        self.trouble = self.refuse

    def client(self) -> Remote:
        """Return a client whose remarks are kept."""
        remote = self.remote("a")
        remote.http.say = self.told.append
        return remote

    def refuse(self, number: int, request: requests.PreparedRequest) -> requests.Response | None:
        """Answer a refused part; a POST's answer names the least size."""
        size = len(body(request))
        if request.method == "POST" and self.least:
            answer = self._answer(request)
            answer.headers["OCI-Chunk-Min-Length"] = str(self.least)
            return answer
        if request.method != "PATCH":
            return None
        self.sizes.append(size)
        if size <= self.limit and (size >= self.least or not self.rest(request)):
            return None
        if self.forgets:
            self.uploads.clear()
        return response(request, self.status, self.said)

    def rest(self, request: requests.PreparedRequest) -> bool:
        """Return whether this part is not the last."""
        return not request.headers["Content-Range"].endswith(f"-{BLOB.size - 1}")


@pytest.mark.parametrize("forgets", [False, True], ids=["keeps the upload", "drops the upload"])
@pytest.mark.parametrize(
    ("status", "said", "sizes"),
    [
        (416, GHCR, [9 * MIB, 4 * MIB, 4 * MIB, MIB]),
        (416, b"", [9 * MIB, 9 * MIB // 2, 9 * MIB // 4] + [9 * MIB // 4] * 3),
        (413, NGINX, [9 * MIB, 9 * MIB // 2, 9 * MIB // 4] + [9 * MIB // 4] * 3),
    ],
    ids=["names its limit", "names none", "a proxy"],
)
def test_a_part_that_is_refused_for_its_size_is_sent_in_smaller_ones(
    status: int, said: bytes, sizes: list[int], forgets: bool
) -> None:
    registry = Narrow(limit=4 * MIB, status=status, said=said)
    registry.forgets = forgets

    upload(registry.client(), BLOB, io.BytesIO(LARGE))

    assert registry.blobs["a", BLOB.digest] == LARGE
    assert registry.sizes == sizes


def test_the_size_a_registry_takes_is_kept_for_the_next_blob_and_told_once() -> None:
    registry = Narrow(limit=4 * MIB, said=GHCR)
    remote = registry.client()
    upload(remote, BLOB, io.BytesIO(LARGE))
    registry.blobs.clear()
    registry.sizes.clear()

    upload(remote, BLOB, io.BytesIO(LARGE))

    assert registry.sizes == [4 * MIB, 4 * MIB, MIB]
    [line] = registry.told
    assert "refuses 9.44 MB in one request" in line
    assert "permissible limit of 4.00MiB" in line


def test_a_least_size_is_obeyed() -> None:
    registry = Narrow(least=5 * MIB)

    upload(registry.client(), BLOB, io.BytesIO(LARGE), part=MIB)

    assert registry.sizes == [5 * MIB, 4 * MIB]
    assert registry.blobs["a", BLOB.digest] == LARGE


def test_a_least_size_above_what_a_proxy_takes_is_told_with_both_words() -> None:
    registry = Narrow(limit=MIB, least=5 * MIB, status=413, said=NGINX)

    with pytest.raises(
        RegistryFailed, match=r"5.24 MB of sha256.*413 .*413 Request Entity Too Large nginx/1.22.1"
    ) as caught:
        upload(registry.client(), BLOB, io.BytesIO(LARGE))
    assert "client_max_body_size" in str(caught.value.hint)


def test_a_registry_that_takes_no_part_at_all_is_told_in_its_own_words() -> None:
    registry = Narrow(limit=0, said=b'{"errors": [{"code": "RANGE_INVALID", "message": "no PATCH here"}]}')

    with pytest.raises(RegistryFailed, match=r"416 .*RANGE_INVALID no PATCH here") as caught:
        upload(registry.client(), BLOB, io.BytesIO(LARGE))
    assert "disk" not in caught.value.render()
    assert len(registry.sizes) < 30


def test_a_manifest_a_proxy_refuses_for_its_size_names_the_limit_and_the_cure() -> None:
    registry = Narrow()
    registry.trouble = lambda number, request: response(request, 413, NGINX)

    with pytest.raises(RegistryFailed, match=r"limits the size of a request.*nginx/1.22.1") as caught:
        registry.remote("a").put_manifest(Manifest(b"{}", OCI_MANIFEST), "tag")
    assert "client_max_body_size" in str(caught.value.hint)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("headers", [{}, {"Location": ""}], ids=["none", "empty"])
def test_an_answer_without_a_location_is_a_registry_error(method: str, headers: dict[str, str]) -> None:
    registry = FakeRegistry()
    registry.trouble = lambda n, request: response(request, 202, headers=headers) if request.method == method else None

    with pytest.raises(RegistryFailed, match=f"{method} https://registry.test/v2/a/.* 202 .* no Location header"):
        upload(registry.remote("a"), BLOB, io.BytesIO(LARGE))


def test_a_part_is_never_larger_than_what_a_lost_line_may_cost() -> None:
    registry = Narrow()

    upload(registry.client(), BLOB, io.BytesIO(LARGE))

    assert max(registry.sizes) <= PART == 16 * MIB


def test_a_part_at_which_a_proxy_hangs_up_is_sent_in_smaller_ones() -> None:
    registry = Narrow(limit=4 * MIB)

    def hang_up(number: int, request: requests.PreparedRequest) -> None:
        if request.method == "PATCH":
            registry.sizes.append(len(body(request)))
            if len(body(request)) > registry.limit:
                raise requests.ConnectionError("connection reset by peer")

    registry.trouble = hang_up
    remote = registry.client()
    remote.http.patience = RetryPolicy(attempts=6, longest=0, first=0)

    upload(remote, BLOB, io.BytesIO(LARGE))

    assert registry.blobs["a", BLOB.digest] == LARGE
    assert registry.sizes == [9 * MIB, 9 * MIB, 9 * MIB // 2] + [9 * MIB // 4] * 4


@pytest.mark.parametrize("said", ["upload 8f-2097152b is unknown", "sha256:ab2097152b", "take 2 MB of 1.5.2 MiB"])
def test_what_is_no_size_is_not_taken_for_one(said: str) -> None:
    registry = Narrow(limit=5 * MIB, said=said.encode())

    upload(registry.client(), BLOB, io.BytesIO(LARGE))

    assert max(registry.sizes[1:]) == (2_000_000 if "2 MB" in said else 9 * MIB // 2)
