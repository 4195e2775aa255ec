"""Downloads of benchmark files.

Atomic, checked by md5, over verified TLS, never offline.
"""

from __future__ import annotations

import os
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vldock.common import hashing
from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.common.https import leaves_https

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
SECONDS_WITHOUT_DATA = 30
CHUNK = 1 << 20

Progress = Callable[[int, int, int | None], object]


def offline_reason(env: Mapping[str, str] | None = None) -> str | None:
    """Return `NAME=value` of the variable that forbids the network, or None."""
    env = os.environ if env is None else env
    for name in OFFLINE_VARIABLES:
        if env.get(name, "").strip().lower() in ("1", "true", "yes", "on"):
            return f"{name}={env[name]}"
    return None


def retrieve(
    url: str, filename: str | os.PathLike[str], progress: Progress | None = None, md5: str | None = None
) -> None:
    """Download `url` to `filename`, whole or not at all.

    Raises EnvironmentUnfit offline or when the network does not answer, InputRefused for bytes of another `md5`.
    """
    if reason := offline_reason():
        raise EnvironmentUnfit(
            f"{url} is not downloaded: {reason}", hint=f"put the file at {filename}, or unset the variable"
        )
    target = Path(filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(
        f".{target.name}.{uuid.uuid4().hex}.part"
    )  # two containers may use the same process number
    try:
        _stream(url, aside, progress)
        seen = hashing.md5_file(aside) if md5 else None
        if seen != md5:
            raise InputRefused(
                f"{url} has md5 {seen}",
                expected=f"md5 {md5}",
                hint=f"nothing was kept; get the file elsewhere and put it at {target}",
            )
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirect handler that refuses a step from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if leaves_https(req.full_url, newurl):
            fp.close()
            raise InputRefused(f"{req.full_url} redirects to {newurl.partition('?')[0]}", expected="https to the end")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _stream(url: str, aside: Path, progress: Progress | None) -> None:
    try:
        with (
            urllib.request.build_opener(_Redirects).open(url, timeout=SECONDS_WITHOUT_DATA) as response,
            aside.open("wb") as out,
        ):
            total = int(response.headers.get("Content-Length") or 0) or None
            blocks = 0
            while chunk := response.read(CHUNK):
                out.write(chunk)
                blocks += 1
                if progress:
                    progress(blocks, CHUNK, total)
            out.flush()
            os.fsync(out.fileno())
            if total is not None and out.tell() != total:
                raise EnvironmentUnfit(f"{url} ended after {out.tell()} of {total} bytes", hint="try again")
    except OSError as error:  # URLError, timeouts and TLS errors are OSErrors
        raise EnvironmentUnfit(
            f"{url} could not be downloaded: {error}", hint=f"put the file at {aside.parent} yourself"
        ) from error
