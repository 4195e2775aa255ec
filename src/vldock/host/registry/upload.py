"""Upload of a blob in parts.

A lost connection costs one part, not the blob.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
Parts are as large as the registry and the proxies before it take: ghcr.io refuses more than 4 MiB with 416, a proxy
with 413, and a registry over S3 wants no less than OCI-Chunk-Min-Length.
"""

from __future__ import annotations

import io
import re
from typing import IO

import requests

from vldock.host.errors import RegistryFailed
from vldock.host.registry.answer import integer_header, reason_text, status_text, stored_bytes
from vldock.host.registry.client import Descriptor, Remote
from vldock.host.registry.transport import ABLE, GO_ON
from vldock.host.util.console import size_text
from vldock.host.util.retry import LOST, RetryableError

BINARY = {"Content-Type": "application/octet-stream"}
DONE = (200, 201, 202, 204)
FORGOTTEN = (400, 404, 405, 416)  # an upload begun before a restart, or stored short: to be begun again
TOO_LARGE = (413, 416)
TAKES_PARTS = ("a registry that takes a blob in parts", "its own words say why; whoever runs it has its log")
REFUSALS = {*FORGOTTEN, *TOO_LARGE}
SMALLEST = 1 << 10  # bytes; a part as small as this is refused for another reason than its size
LEAST_ON_A_BAD_LINE = 1 << 18
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
SIZE = re.compile(r"(?<![\w.-])(\d{1,12}(?:\.\d{1,3})?) ?([kmg]i?)?(?:b|bytes)\b", re.IGNORECASE)


def upload(remote: Remote, blob: Descriptor, content: IO[bytes], *, part: int | None = None) -> None:
    """Store the blob in `content`, at most `part` bytes a request.

    The registry checks its digest.

    Raises RegistryFailed when no part gets through in the attempts allowed, with the registry's own reason.
    """
    http = remote.http
    remote.part = part or remote.part
    tries, why, cure = 0, "", (ABLE, GO_ON)
    while tries < http.patience.attempts:
        before = remote.part
        attempt = _Upload(remote, blob, content)
        lost = attempt.run()
        if lost is None:
            return
        why, cure = lost, TAKES_PARTS if attempt.refused else (ABLE, GO_ON)
        tries += remote.part == before  # smaller parts are another way, not another try
    raise RegistryFailed(
        f"{http.repository.host} lost the upload of {blob.digest} {tries} times: {why}",
        expected=cure[0],
        hint=cure[1],
    )


class _Upload:
    """One upload: its next address, the bytes stored, and the smallest part allowed."""

    def __init__(self, remote: Remote, blob: Descriptor, content: IO[bytes]) -> None:
        self.remote, self.blob, self.content = remote, blob, content
        self.http = remote.http
        self.place, self.sent, self.least = "", 0, 1
        self.refused = False

    def run(self) -> str | None:
        """Send the blob from its start; return None, or why to begin again.

        Debian's, when its disk is full, takes a part with 202 and stores less of it; it says so at the end.
        """
        answer = self.http.request("POST", f"/v2/{self.remote.repository.name}/blobs/uploads/", ok=(202,))
        self.place = self.http.next_url(answer)
        self.least = integer_header(answer, "OCI-Chunk-Min-Length") or 1
        while self.sent < self.blob.size:
            why = self._next_part()
            if why is not None:
                return why
        return self._finish()

    def _next_part(self) -> str | None:
        self.content.seek(self.sent)
        data = self.content.read(max(self.remote.part, self.least))
        if not data:
            raise RegistryFailed(f"{self.blob.digest}: {self.sent} bytes where {self.blob.size} were announced")
        answer = self._send(data)
        if not isinstance(answer, requests.Response):
            return answer
        reason = status_text(answer)
        if answer.status_code in TOO_LARGE and self._shrink_parts(len(data), reason):
            return self.http.retry(self._read_progress, what=f"upload to {self.http.repository}")
        if answer.status_code == 413:
            raise self.http.too_large(f"{size_text(len(data))} of {self.blob.digest}: {reason}")
        self.refused = answer.status_code != 404
        return reason

    def _send(self, data: bytes) -> requests.Response | str | None:
        """Send one part until it is answered; return the refusal, or as `_read_progress`.

        After a failure the registry is asked what arrived, for the answer alone may have been lost. A part that broke
        the line twice is sent as half of it: some proxies hang up on what is too large instead of saying 413.
        """
        start, whole, doubt = self.sent, len(data), False

        def once() -> requests.Response | str | None:
            nonlocal data, doubt
            lost = self._read_progress() if doubt else None
            if lost is not None or self.sent != start:
                return lost
            headers = BINARY | {"Content-Range": f"{start}-{start + len(data) - 1}"}
            try:
                answer = self.http.request_once("PATCH", self.place, ok=(*DONE, *REFUSALS), data=data, headers=headers)
            except RetryableError as error:
                if doubt and isinstance(error.__cause__, LOST):
                    data = data[: max(len(data) // 2, self.least, LEAST_ON_A_BAD_LINE)]
                doubt = True
                raise
            if answer.status_code not in DONE:
                return answer
            self.place, self.sent = self.http.next_url(answer), start + len(data)
            if len(data) < whole:
                self.remote.part = len(data)
            return None

        return self.http.retry(once, what=f"upload to {self.http.repository}")

    def _read_progress(self) -> str | None:
        """Read how many bytes are stored and continue from them.

        Returns None, or why the registry does not know the upload any more.
        """
        answer = self.http.request_once("GET", self.place, ok=(*DONE, *FORGOTTEN))
        arrived = stored_bytes(answer)
        if answer.status_code not in DONE or arrived is None:
            return status_text(answer)
        if "Location" in answer.headers:
            self.place = self.http.next_url(answer)
        self.sent = arrived
        return None

    def _shrink_parts(self, size: int, reason: str) -> bool:
        """Make the next parts smaller than `size`, or return False."""
        smaller = max(_size_in(reason, below=size) or size // 2, self.least, SMALLEST)
        if smaller >= size:
            return False
        self.remote.part = smaller
        refused = f"{self.http.repository.host} refuses {size_text(size)} in one request"
        self.http.say(f"{refused} ({reason}); {size_text(smaller)} from now on")
        return True

    def _finish(self) -> str | None:
        """End the upload; return None or the registry's refusal.

        None means that the blob is stored.
        """
        joint = "&" if "?" in self.place else "?"
        end = f"{self.place}{joint}digest={self.blob.digest}"
        answer = self.http.request("PUT", end, ok=(*DONE, *FORGOTTEN), headers={"Content-Length": "0"})
        # 404 also where an earlier try ended the upload and only its answer was lost
        if answer.status_code in DONE or self.remote.has(self.blob):
            return None
        return reason_text(answer)


def _size_in(reason: str, *, below: int) -> int | None:
    """Return the largest size named in a refusal, or None.

    The size is below the refused one.
    """
    sizes = (int(float(number) * UNITS[unit.lower()]) for number, unit in SIZE.findall(reason))
    return max((size for size in sizes if SMALLEST <= size < below), default=None)


def upload_bytes(remote: Remote, content: bytes, media_type: str) -> Descriptor:
    """Store a small blob unless it is there, and return its descriptor."""
    blob = Descriptor.of(content, media_type)
    if not remote.has(blob):
        upload(remote, blob, io.BytesIO(content))
    return blob


def mount(remote: Remote, blob: Descriptor, other: str) -> bool:
    """Mount a blob from another repository of the registry; False where it refuses."""
    answer = remote.http.request(
        "POST",
        f"/v2/{remote.repository.name}/blobs/uploads/",
        ok=(201, 202),
        params={"mount": blob.digest, "from": other},
    )
    if answer.status_code == 202:  # it opened an ordinary upload instead
        remote.http.request("DELETE", remote.http.next_url(answer), ok=(200, 202, 204, 404, 405))
        return False
    return True
