"""Point a process at the stand-ins, before anything heavy is imported. Standard library only."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit
from vldock.common.standin_choice import ALL, VARIABLE, WEIGHTS
from vldock.image.standin.manifest import ASSETS, Manifest, check_assets, load_manifest

CACHES = ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE", "TRANSFORMERS_CACHE")
SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


@dataclass(frozen=True, slots=True)
class StandinRoot:
    """Where the stand-ins are: the read-only hub cache, the data folder of their samples, what they are."""

    cache: Path
    data: Path | None
    manifest: Manifest


def activate(
    environ: MutableMapping[str, str],
    *,
    samples: bool = True,
    scratch: Path | None = None,
    assets: Path = ASSETS,
    checked: bool = False,
) -> StandinRoot:
    """Set in `environ` what makes models resolve to the stand-ins, and with `samples` benchmarks to theirs.

    VLMEvalKit writes images next to its TSVs, so the data folder is a private one of links to them: below `scratch`,
    which is kept, or below the temporary folder, one for each process, removed when the process ends. The files are
    compared with the manifest unless they were `checked`, by the process this one was forked from.

    Raises:
        InputRefused: a file of the stand-ins is missing or not what the manifest says.
        EnvironmentUnfit: the private folder is not ours alone, or cannot be made.
    """
    manifest = load_manifest(assets)
    if not checked:
        check_assets(manifest, assets)
    cache = assets / "huggingface"
    environ.update(dict.fromkeys(CACHES, str(cache)))
    environ.update(dict.fromkeys(SWITCHES, "1"))
    if not samples:
        environ[VARIABLE] = WEIGHTS
        return StandinRoot(cache, None, manifest)
    environ[VARIABLE] = ALL
    data = _own_folder(scratch) if scratch else _process_folder(environ)
    data = data / "LMUData"
    data.mkdir(mode=0o700, exist_ok=True)
    for name in manifest.tables:
        _link(data / f"{name}.tsv", assets / "LMUData" / f"{name}.tsv")
    environ["LMUData"] = str(data)
    environ["VLDOCK_ACCEPT_MD5"] = ",".join(f"{name}={table['md5']}" for name, table in manifest.tables.items())
    return StandinRoot(cache, data, manifest)


def _process_folder(environ: MutableMapping[str, str]) -> Path:
    """Return a new folder of this process below <tmp>/vldock-standin-<uid>, removed at exit."""
    temporary = Path(environ.get("TMPDIR") or tempfile.gettempdir())
    parent = _own_folder(temporary / f"vldock-standin-{os.getuid()}")
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    """Remove `folder` in the process that made it, not in a fork of it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _own_folder(path: Path) -> Path:
    """Return `path`, made if missing with mode 0700.

    Raises:
        EnvironmentUnfit: it is a link, no folder, another user's, or open to others.
    """
    hint = f"remove {path}, or set TMPDIR to a folder of your own"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = path.lstat()
    except OSError as error:
        raise EnvironmentUnfit(f"{path} cannot be made: {error}", expected="a private folder", hint=hint) from error
    if not stat.S_ISDIR(seen.st_mode):
        raise EnvironmentUnfit(f"{path} is a link or no folder", expected="a folder", hint=hint)
    if seen.st_uid != os.getuid():
        raise EnvironmentUnfit(f"{path} belongs to uid {seen.st_uid}", expected=f"uid {os.getuid()}", hint=hint)
    if seen.st_mode & 0o022:
        raise EnvironmentUnfit(
            f"{path} is writable by others (mode {stat.S_IMODE(seen.st_mode):04o})", expected="mode 0700", hint=hint
        )
    return path


def _link(link: Path, target: Path) -> None:
    """Make `link` point to `target`, whatever another thread, process or container (of the same pid) does meanwhile."""
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.{os.urandom(6).hex()}")
    fresh.symlink_to(target)
    fresh.replace(link)
