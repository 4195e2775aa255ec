"""Download of one file, whole and verified or not at all.

`NAME.part` beside its place is resumed, checked, fsynced, renamed.
"""

from __future__ import annotations

import contextlib
import re

import requests

from vldock.host.downloads.http import Web
from vldock.host.downloads.partial_file import PartialFile, file_checksums
from vldock.host.downloads.request import FetchedFile, FileRequest, ProgressListener
from vldock.host.errors import HostFailed, Stopped, WrongBytes, disk_error
from vldock.host.util.redaction import bare_url, clean_message
from vldock.host.util.retry import LOST, RetryableError

CHUNK = 1 << 16  # what a cut loses at most
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
WHOLE_TRIES = 2  # a part resumed may be another version's beginning: once more from the first byte


def fetch_file(web: Web, request: FileRequest, *, listener: ProgressListener, quick: bool = False) -> FetchedFile:
    """Fetch a file into its place; keep an existing correct one.

    Raises WrongBytes, DownloadDenied, NotThere, HostFailed, EnvironmentUnfit (NoRoom where the disk is full), or
    Stopped; the part remains for the next try, except where its bytes are wrong.
    """
    try:
        kept = check_existing(request, listener=listener, quick=quick)
        if kept is not None:
            return kept
        request.path.parent.mkdir(parents=True, exist_ok=True)
        return _copy(request, listener=listener) or _download(web, request, listener=listener)
    except requests.RequestException as error:  # an OSError too
        raise HostFailed(
            f"{bare_url(request.url)}: {clean_message(error)}", expected="an answer that can be read"
        ) from error
    except OSError as error:
        raise disk_error(error, request.path) from error


def check_existing(request: FileRequest, *, listener: ProgressListener, quick: bool) -> FetchedFile | None:
    """Return the correct file in place, or None.

    None means that there is no file; a wrong blob is discarded. Raises WrongBytes for a wrong file that is the user's.
    """
    if not request.path.is_file():
        return None
    size = request.path.stat().st_size
    if quick and request.expected.size in (None, size):
        return FetchedFile(request, "kept", size, None)
    sums = file_checksums(request.path, request.expected)
    problem = request.expected.problem(sums)
    if problem is None:
        listener.on_progress(request, size, size)
        return FetchedFile(request, "kept", size, sums)
    if request.replace:
        request.path.unlink()
        return None
    raise WrongBytes(
        f"{request.path} is there and has {problem}",
        expected=str(request.expected),
        hint=f"it is not overwritten; move it away: mv {request.path} {request.path}.other",
    )


def _copy(request: FileRequest, *, listener: ProgressListener) -> FetchedFile | None:
    """Copy the bytes of the seed, where it holds the right ones."""
    if request.seed is None or not request.seed.is_file() or request.path == request.seed:
        return None
    if request.expected.size not in (None, request.seed.stat().st_size):
        return None
    part = PartialFile(request.part, request.expected)
    with contextlib.closing(part), request.seed.open("rb") as source:
        part.restart()
        while chunk := source.read(CHUNK):
            part.append(chunk)
            listener.on_progress(request, part.size, request.expected.size)
        if request.expected.problem(part.checksums()) is None:
            part.place(request.path)
            return FetchedFile(request, "copied", part.size, part.checksums())
    part.discard()
    return None


def _download(web: Web, request: FileRequest, *, listener: ProgressListener) -> FetchedFile:
    problem = None
    for _ in range(WHOLE_TRIES):
        with contextlib.closing(PartialFile(request.part, request.expected)) as part:
            begun = part.size
            _fill(web, request, part, listener)
            sums = part.checksums()
            problem = request.expected.problem(sums)
            if problem is None:
                part.place(request.path)
                return FetchedFile(request, "resumed" if begun else "downloaded", sums.size, sums)
        part.discard()
        web.log(f"{request.name}: {problem}, not {request.expected}; discarded")
    raise WrongBytes(
        f"{request.name} from {bare_url(request.url)} has {problem}",
        expected=str(request.expected),
        hint="nothing of it was kept; take another host (HF_ENDPOINT, --mirror), or wait until this one is mended",
    )


def _fill(web: Web, request: FileRequest, part: PartialFile, listener: ProgressListener) -> None:
    """Add bytes until the host has sent all.

    The attempts begin anew as long as every round brings some bytes.
    """
    longest = -1
    while True:
        try:
            web.retry(lambda: _pour(web, request, part, listener), what=request.name)
            return
        except HostFailed:
            if part.size <= max(longest, 0):
                raise
            longest = part.size


def _pour(web: Web, request: FileRequest, part: PartialFile, listener: ProgressListener) -> None:
    """Request the rest once and append it.

    Raises RetryableError when the connection is cut before the end.
    """
    if part.size and part.size == request.expected.size:
        return
    with web.get(request.url, start=part.size) as response:
        if not _fits(response, request, part):
            part.restart()
            raise RetryableError("the host cannot go on from the part; from the first byte again", after=0)
        length = response.headers.get("Content-Length", "")
        total = part.size + int(length) if length.isdigit() else request.expected.size
        try:
            for chunk in response.iter_content(CHUNK):
                part.append(chunk)
                listener.on_progress(request, part.size, total)
                if web.stop.is_set():
                    raise Stopped
                if request.expected.size is not None and part.size > request.expected.size:
                    return  # too long: refused when it is checked
        except LOST as error:
            raise RetryableError(
                f"cut after {part.size} of {total or 'unknown'} bytes: {clean_message(error)}"
            ) from error
    if total is not None and part.size < total:
        raise RetryableError(f"cut after {part.size} of {total} bytes")


def _fits(response: requests.Response, request: FileRequest, part: PartialFile) -> bool:
    """Return whether the body continues the part.

    A host that sends all of it again empties the part first.
    """
    if response.status_code == 416:
        return False
    if response.status_code == 206:
        seen = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = request.expected.size is None or not seen or seen[3] in ("*", str(request.expected.size))
        return seen is not None and int(seen[1]) == part.size and same
    if part.size:
        part.restart()
    return True
