"""Send a blob, in parts, so that a lost connection costs one part and not the blob.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
"""

from __future__ import annotations

import io
from typing import IO

from vldock.host.refusals import RegistryFailed
from vldock.host.registry import PART, Descriptor, Remote
from vldock.host.registry_http import ABLE, GO_ON, Http, words
from vldock.host.retries import Again

BINARY = {"Content-Type": "application/octet-stream"}
FORGOTTEN = (400, 404, 416)  # an upload begun before a restart, or stored short: to be begun again


def upload(remote: Remote, blob: Descriptor, content: IO[bytes], *, part: int = PART) -> None:
    """Store a blob whose bytes are in `content`; the registry itself checks its digest.

    Raises RegistryFailed when no part gets through in the attempts allowed, with the registry's own reason.
    """
    http = remote.http
    why = ""
    for _ in range(http.patience.attempts):
        lost = _upload_once(remote, blob, content, part)
        if lost is None:
            return
        why = lost
    raise RegistryFailed(
        f"{http.repository.host} lost the upload of {blob.digest} {http.patience.attempts} times: {why}",
        expected=ABLE,
        hint=GO_ON,
    )


def _upload_once(remote: Remote, blob: Descriptor, content: IO[bytes], part: int) -> str | None:
    """Send a blob from its start; return None, or why the registry no longer knows of the upload.

    Debian's, when its disk is full, takes a part with 202 and stores less of it; it says so at the end.
    """
    place, sent = _begin(remote.http, remote), 0
    while sent < blob.size:
        content.seek(sent)
        data = content.read(part)
        if not data:
            raise RegistryFailed(f"{blob.digest}: {sent} bytes where {blob.size} were announced")
        arrived = _send(remote.http, place, sent, data)
        if arrived is None:
            return "it does not know of it any more"
        place, sent = arrived
    return _finish(remote, place, blob)


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


def _send(http: Http, place: str, start: int, data: bytes) -> tuple[str, int] | None:
    """Send one part; return where the next goes and how many bytes are there, None where the upload was forgotten.

    After a failure the registry is asked what arrived, for the answer alone may have been lost.
    """
    state = {"place": place, "doubt": ""}

    def once() -> tuple[str, int] | None:
        if state["doubt"]:
            arrived = http.once("GET", state["place"], ok=(204, *FORGOTTEN))
            if arrived.status_code in FORGOTTEN:
                return None
            state["place"] = http.url(arrived.headers.get("Location", state["place"]), base=arrived.url)
            have = _end(arrived.headers.get("Range", "0-0"))
            if have != start:
                return state["place"], have
        headers = BINARY | {"Content-Range": f"{start}-{start + len(data) - 1}"}
        try:
            answer = http.once("PATCH", state["place"], ok=(202, 204, *FORGOTTEN), data=data, headers=headers)
        except Again:
            state["doubt"] = "yes"
            raise
        if answer.status_code in FORGOTTEN:
            return None
        return http.url(answer.headers["Location"], base=answer.url), start + len(data)

    return http.persist(once, what=f"upload to {http.repository}")


def _end(text: str) -> int:
    """Return the number of bytes a Range header speaks of; '0-0' is an upload with nothing in it."""
    last = int(text.removeprefix("bytes=").partition("-")[2])
    return last + 1 if last else 0


def _finish(remote: Remote, place: str, blob: Descriptor) -> str | None:
    """End the upload; return None where the blob is stored, else the registry's words."""
    joint = "&" if "?" in place else "?"
    answer = remote.http.ask(
        "PUT", f"{place}{joint}digest={blob.digest}", ok=(201, 204, *FORGOTTEN), headers={"Content-Length": "0"}
    )
    # 404 also where an earlier try ended the upload and only its answer was lost
    if answer.status_code in (201, 204) or remote.has(blob):
        return None
    return words(answer)
