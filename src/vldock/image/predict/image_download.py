"""Download of an image, bounded in bytes and time, into a file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.common.https import leaves_https

CHUNK = 1 << 16
REDIRECTS = 5


@dataclass(frozen=True)
class DownloadLimits:
    """Limits of a download: bytes, and seconds until the last byte."""

    size: int = 50_000_000
    seconds: float = 30.0


class _Session(requests.Session):
    """Session that refuses redirects from https to http."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None and leaves_https(resp.url, target):
            resp.close()
            raise InputRefused(
                f"{_host(resp.url)} redirects to {_host(target)}", expected="https to the end", hint="--image FILE"
            )
        return target


def fetch(url: str, target: Path, limits: DownloadLimits) -> None:
    """Download `url` (http, https) to `target`.

    Raises UsageError for a URL that is none, EnvironmentUnfit where no host answers in time, InputRefused for an error
    status or an answer that is too long.
    """
    where = _host(url)
    deadline = time.monotonic() + limits.seconds
    try:
        with _Session() as session:
            session.max_redirects = REDIRECTS
            with session.get(url, stream=True, timeout=limits.seconds) as answer:
                if not answer.ok:
                    raise InputRefused(f"{where} answers {answer.status_code} {answer.reason}", expected="an image")
                _save(answer, target, where, limits, deadline)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise UsageError(f"{where}: {type(error).__name__}", expected="http://HOST/... or https://HOST/...") from error
    except requests.exceptions.TooManyRedirects as error:
        raise InputRefused(f"{where} redirects more than {REDIRECTS} times", expected="an image") from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise EnvironmentUnfit(
            f"{where} cannot be reached: {_reason(error)}",
            expected=f"an answer within {limits.seconds:g} s",
            hint="without a network, give the image as a file: --image FILE",
        ) from error


def _save(answer: requests.Response, target: Path, where: str, limits: DownloadLimits, deadline: float) -> None:
    told = answer.headers.get("Content-Length", "")
    if told.isdigit() and int(told) > limits.size:
        raise _too_long(where, limits)
    size = 0
    with target.open("wb") as file:
        # read1 returns the bytes received: a slow host is checked at each packet, not when a chunk is full
        while chunk := answer.raw.read1(CHUNK, decode_content=True):
            size += len(chunk)
            if size > limits.size:
                raise _too_long(where, limits)
            if time.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout(f"{size} bytes came, not all")
            file.write(chunk)
    if told.isdigit() and not answer.headers.get("Content-Encoding") and size < int(told):
        raise requests.exceptions.ConnectionError(f"the line was cut after {size} of {told} bytes")


def _too_long(where: str, limits: DownloadLimits) -> InputRefused:
    return InputRefused(
        f"{where} sends more than {limits.size} bytes", expected="an image", hint="--max-bytes allows more"
    )


def _host(url: str) -> str:
    """Return a URL for messages: without user, password and query."""
    head, _, rest = url.partition("://")
    return f"{head}://{rest.partition('?')[0].rpartition('@')[2]}"


def _reason(error: BaseException) -> str:
    """Return an error's innermost cause in one line, without the URL's query."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}".splitlines()[0][:160]
