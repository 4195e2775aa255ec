"""Benchmark files: present, of the declared md5, never silently replaced.

VLDOCK_EDITION and VLDOCK_ACCEPT_MD5 accept another file for a benchmark on purpose (common/tables/editions.py).
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from vldock.common.errors import InputRefused, VldockError
from vldock.common.image_paths import DATASETS_LOCK
from vldock.common.preflight import DATA_FACE, DATA_MOUNT
from vldock.common.tables import editions
from vldock.image.vlmeval_hooks.files import download, lmudata, local_copy
from vldock.image.vlmeval_hooks.files.checksums import md5_of


@functools.cache
def declared_editions() -> dict[str, tuple[editions.Edition, ...]]:
    """Return the editions declared in the image's copy of locks/datasets.json."""
    return editions.read_editions(Path(DATASETS_LOCK))


def ensure(benchmark: str, url: str, declared: str | None, root: str | os.PathLike[str]) -> None:
    """Ensure that <root>/<benchmark>.tsv is the declared file; download it if missing.

    Returns None, which the patched caller takes as "no checksum left to compare". Raises InputRefused for a file of
    another md5 and for a missing one that cannot be downloaded.
    """
    folder = lmudata.require_writable(Path(root))
    path = folder / f"{benchmark}.tsv"
    known = declared_editions()
    expected = editions.wanted_md5(benchmark, declared, known)
    if not path.is_file():
        _provide(benchmark, url, expected, path)
    elif expected and (actual := md5_of(path)) != expected:
        raise InputRefused(
            f"{path} has md5 {actual}",
            expected=f"md5 {expected}",
            hint=f"accept it with {editions.accept_setting(benchmark, actual, known)}, "
            "or move it away to have it downloaded",
        )
    local_copy.drop_stale(path)
    local_copy.drop_other_reading(path)


def _provide(benchmark: str, url: str, expected: str | None, path: Path) -> None:
    legacy = path.with_name(url.split("/")[-1])
    if legacy.is_file() and expected and md5_of(legacy) == expected:
        legacy.replace(path)
        print(f"{benchmark}: {legacy} renamed to {path.name}", flush=True)
        return
    moved = path.parent.name.startswith(f"vldock-{DATA_FACE}-")
    mount = Path(os.environ.get(DATA_MOUNT) or path.parent) if moved else path.parent
    hint = f"put it there (-v HOST_FOLDER:{mount}); VLMEvalKit publishes it at {url}"
    if not url.startswith(("http://", "https://")):
        raise InputRefused(f"{mount / path.name} does not exist", hint=f"put it there (-v HOST_FOLDER:{mount})")
    if reason := download.offline_reason():
        raise InputRefused(f"{mount / path.name} does not exist and {reason}", hint=hint)
    chosen = editions.chosen_editions(declared_editions()).get(benchmark)
    if chosen and chosen.md5 == expected and chosen.url is None:
        raise InputRefused(
            f"{mount / path.name} does not exist, and the {chosen.name} edition of {benchmark} has no known address",
            expected=f"the file with md5 {expected}",
            hint=f"put it there (-v HOST_FOLDER:{mount})",
        )
    url = chosen.url if chosen and chosen.url and chosen.md5 == expected else url
    print(f"{benchmark}: downloading {url}", flush=True)
    try:
        download.retrieve(url, path, md5=expected)
    except VldockError as error:
        message = f"{mount / path.name} does not exist and {error.message}"
        raise InputRefused(message, expected=error.expected, hint=hint) from error


def image_root(root: str, data_path: str | None) -> str:
    """Return the folder for a benchmark's decoded images.

    There is one for each content of the benchmark's file.
    Upstream names an image by its index only and keeps one that exists, so another file's images would be used.
    """
    if data_path is None or not Path(data_path).is_file():
        return root
    return f"{root}-{md5_of(Path(data_path))[:8]}"
