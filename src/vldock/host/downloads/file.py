"""One file, whole and verified or not at all: `NAME.part` beside its place, resumed, checked, fsynced, renamed."""

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


def fetch_file(web: Web, wanted: FileRequest, *, watch: ProgressListener, quick: bool = False) -> FetchedFile:
    """Have a file in its place; what is there and right is kept.

    Raises WrongBytes, DownloadDenied, NotThere, HostFailed, EnvironmentUnfit (NoRoom where the disk is full), or
    Stopped; the part stays for the next try, except where its bytes are wrong.
    """
    try:
        kept = check_existing(wanted, watch=watch, quick=quick)
        if kept is not None:
            return kept
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        return _copy(wanted, watch=watch) or _download(web, wanted, watch=watch)
    except requests.RequestException as error:  # an OSError too
        raise HostFailed(
            f"{bare_url(wanted.url)}: {clean_message(error)}", expected="an answer that can be read"
        ) from error
    except OSError as error:
        raise disk_error(error, wanted.path) from error


def check_existing(wanted: FileRequest, *, watch: ProgressListener, quick: bool) -> FetchedFile | None:
    """Return the file that is in place and right, None where there is none; a wrong blob is discarded.

    Raises WrongBytes for a wrong file that is the user's.
    """
    if not wanted.path.is_file():
        return None
    size = wanted.path.stat().st_size
    if quick and wanted.expected.size in (None, size):
        return FetchedFile(wanted, "kept", size, None)
    sums = file_checksums(wanted.path, wanted.expected)
    problem = wanted.expected.problem(sums)
    if problem is None:
        watch.at(wanted, size, size)
        return FetchedFile(wanted, "kept", size, sums)
    if wanted.replace:
        wanted.path.unlink()
        return None
    raise WrongBytes(
        f"{wanted.path} is there and has {problem}",
        expected=str(wanted.expected),
        hint=f"it is not overwritten; move it away: mv {wanted.path} {wanted.path}.other",
    )


def _copy(wanted: FileRequest, *, watch: ProgressListener) -> FetchedFile | None:
    """Take the bytes from the seed, where it holds the right ones."""
    if wanted.seed is None or not wanted.seed.is_file() or wanted.path == wanted.seed:
        return None
    if wanted.expected.size not in (None, wanted.seed.stat().st_size):
        return None
    part = PartialFile(wanted.part, wanted.expected)
    with contextlib.closing(part), wanted.seed.open("rb") as source:
        part.restart()
        while chunk := source.read(CHUNK):
            part.append(chunk)
            watch.at(wanted, part.size, wanted.expected.size)
        if wanted.expected.problem(part.checksums()) is None:
            part.place(wanted.path)
            return FetchedFile(wanted, "copied", part.size, part.checksums())
    part.discard()
    return None


def _download(web: Web, wanted: FileRequest, *, watch: ProgressListener) -> FetchedFile:
    problem = None
    for _ in range(WHOLE_TRIES):
        with contextlib.closing(PartialFile(wanted.part, wanted.expected)) as part:
            begun = part.size
            _fill(web, wanted, part, watch)
            sums = part.checksums()
            problem = wanted.expected.problem(sums)
            if problem is None:
                part.place(wanted.path)
                return FetchedFile(wanted, "resumed" if begun else "downloaded", sums.size, sums)
        part.discard()
        web.say(f"{wanted.name}: {problem}, not {wanted.expected}; discarded")
    raise WrongBytes(
        f"{wanted.name} from {bare_url(wanted.url)} has {problem}",
        expected=str(wanted.expected),
        hint="nothing of it was kept; take another host (HF_ENDPOINT, --mirror), or wait until this one is mended",
    )


def _fill(web: Web, wanted: FileRequest, part: PartialFile, watch: ProgressListener) -> None:
    """Add bytes until the host says that was all; patience begins anew as long as every round brings some."""
    longest = -1
    while True:
        try:
            web.persist(lambda: _pour(web, wanted, part, watch), what=wanted.name)
            return
        except HostFailed:
            if part.size <= max(longest, 0):
                raise
            longest = part.size


def _pour(web: Web, wanted: FileRequest, part: PartialFile, watch: ProgressListener) -> None:
    """Ask for the rest once and append it; raises Again when the line is cut before the end."""
    if part.size and part.size == wanted.expected.size:
        return
    with web.get(wanted.url, start=part.size) as response:
        if not _fits(response, wanted, part):
            part.restart()
            raise RetryableError("the host cannot go on from the part; from the first byte again", after=0)
        length = response.headers.get("Content-Length", "")
        total = part.size + int(length) if length.isdigit() else wanted.expected.size
        try:
            for chunk in response.iter_content(CHUNK):
                part.append(chunk)
                watch.at(wanted, part.size, total)
                if web.stop.is_set():
                    raise Stopped
                if wanted.expected.size is not None and part.size > wanted.expected.size:
                    return  # too long: refused when it is checked
        except LOST as error:
            raise RetryableError(
                f"cut after {part.size} of {total or 'unknown'} bytes: {clean_message(error)}"
            ) from error
    if total is not None and part.size < total:
        raise RetryableError(f"cut after {part.size} of {total} bytes")


def _fits(response: requests.Response, wanted: FileRequest, part: PartialFile) -> bool:
    """Tell whether the body continues the part; a host that sends all of it again empties the part first."""
    if response.status_code == 416:
        return False
    if response.status_code == 206:
        seen = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = wanted.expected.size is None or not seen or seen[3] in ("*", str(wanted.expected.size))
        return seen is not None and int(seen[1]) == part.size and same
    if part.size:
        part.restart()
    return True
