"""Send a blob, in parts, so that a lost connection costs one part and not the blob.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
"""

from __future__ import annotations

import io
from typing import IO

from vldock.host.refusals import RegistryFailed
from vldock.host.registry import PART, Descriptor, Remote
from vldock.host.registry_http import Again, Http

BINARY = {"Content-Type": "application/octet-stream"}


def upload(remote: Remote, blob: Descriptor, content: IO[bytes], *, part: int = PART) -> None:
    """Store a blob whose bytes are in `content`; the registry itself checks its digest.

    Raises RegistryFailed when no part gets through in the attempts allowed, with the registry's own reason.
    """
    http = remote.http
    place = _begin(http, remote)
    sent = begun = 0
    while sent < blob.size:
        begun += sent == 0
        if begun > http.patience.attempts:
            raise RegistryFailed(f"{http.repository.host} lost the upload of {blob.digest} {begun - 1} times")
        content.seek(sent)
        data = content.read(part)
        if not data:
            raise RegistryFailed(f"{blob.digest}: {sent} bytes where {blob.size} were announced")
        place, sent = _send(http, remote, place, sent, data)
    _finish(remote, place, blob)


def upload_bytes(remote: Remote, content: bytes, media_type: str) -> Descriptor:
    """Store a small blob where it is not there yet, and return its descriptor."""
    blob = Descriptor.of(content, media_type)
    if not remote.has(blob):
        upload(remote, blob, io.BytesIO(content))
    return blob


def mount(remote: Remote, blob: Descriptor, other: str) -> bool:
    """Take a blob over from another repository of the same registry; False where the registry will not."""
    answer = remote.http.ask(
        "POST",
        f"/v2/{remote.repository.name}/blobs/uploads/",
        ok=(201, 202),
        params={"mount": blob.digest, "from": other},
    )
    if answer.status_code == 202:  # it opened an ordinary upload instead
        place = remote.http.url(answer.headers["Location"], base=answer.url)
        remote.http.ask("DELETE", place, ok=(200, 202, 204, 404, 405))
        return False
    return True


def _begin(http: Http, remote: Remote) -> str:
    answer = http.ask("POST", f"/v2/{remote.repository.name}/blobs/uploads/", ok=(202,))
    return http.url(answer.headers["Location"], base=answer.url)


def _send(http: Http, remote: Remote, place: str, start: int, data: bytes) -> tuple[str, int]:
    """Send one part; return where the next goes and how many bytes are there. After a failure ask what arrived."""
    state = {"place": place, "doubt": ""}

    def once() -> tuple[str, int]:
        if state["doubt"]:
            arrived = http.once("GET", state["place"], ok=(204, 404))
            if arrived.status_code == 404:  # the upload was lost with the registry's state: from the start
                return _begin(http, remote), 0
            state["place"] = http.url(arrived.headers.get("Location", state["place"]), base=arrived.url)
            have = _end(arrived.headers.get("Range", "0-0"))
            if have != start:
                return state["place"], have
        headers = BINARY | {"Content-Range": f"{start}-{start + len(data) - 1}"}
        try:
            answer = http.once("PATCH", state["place"], ok=(202, 204), data=data, headers=headers)
        except Again:
            state["doubt"] = "yes"
            raise
        return http.url(answer.headers["Location"], base=answer.url), start + len(data)

    return http.persist(once, what=f"upload to {remote.repository}")


def _end(text: str) -> int:
    """Return the number of bytes a Range header speaks of; '0-0' is an upload with nothing in it."""
    last = int(text.removeprefix("bytes=").partition("-")[2])
    return last + 1 if last else 0


def _finish(remote: Remote, place: str, blob: Descriptor) -> None:
    joint = "&" if "?" in place else "?"
    answer = remote.http.ask(
        "PUT", f"{place}{joint}digest={blob.digest}", ok=(201, 204, 404), headers={"Content-Length": "0"}
    )
    # 404: an earlier try ended the upload and only its answer was lost; or the upload is gone
    if answer.status_code == 404 and not remote.has(blob):
        raise RegistryFailed(f"{remote.repository} lost the upload of {blob.digest}", hint="run the same command again")
