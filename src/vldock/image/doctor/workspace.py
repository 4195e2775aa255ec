"""Checks of user, caches, disk, benchmark files, weights and token."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from vldock.common import standin_choice, workspace
from vldock.common.cache_env import CACHE_ENV, CACHE_ROOT, HUGGINGFACE, LMUDATA, OUTPUTS, variables_below
from vldock.common.caches import hf_home
from vldock.common.check import Check
from vldock.common.dot_env import parse_dot_env
from vldock.common.errors import InputRefused
from vldock.common.filesystem.permissions import can_write, whoami, why_unwritable, writable_hint
from vldock.common.image_paths import ENV_FILES, TOKEN_VARIABLES
from vldock.common.matrix import BENCHMARKS, MODELS, Benchmark, Model
from vldock.common.preflight import OUTPUTS_VARIABLE
from vldock.common.tables import editions
from vldock.common.weight_files import Fault, find_faults
from vldock.image.evaluation.cell_identity import table_md5, table_path
from vldock.image.remote_code import admission, executed
from vldock.image.standin.activate import CACHES
from vldock.image.vlmeval_hooks.files.tsv import declared_editions
from vldock.image.weights.hub_snapshots import Snapshot, snapshot, used_files

DISK_NEEDED = 2.0  # GB, for results, decoded images and logs; weights still to be fetched come on top

QUOTES = ('"', "'")


def check_user(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Check that getpass finds a user name.

    torch's and triton's caches fail for a uid without a name.
    """
    who = whoami()
    seen = f"uid {who.uid}, gid {who.gid}, {getpass.getuser()}, home {environ.get('HOME')}"
    return [Check("user", "ok", seen)]


def check_caches(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Check the cache variables and the writable folders.

    The variables must share one root; outputs and data must be writable.
    """
    private = variables_below(str(Path(environ.get("TMPDIR", "/tmp")) / f"vldock-cache-{os.geteuid()}"))
    root = environ.get(workspace.ROOT_VARIABLE)
    wanted = [CACHE_ENV, private, workspace.variables(Path(root)) if root else {}]
    other = [name for name in CACHE_ENV if environ.get(name) not in [values.get(name) for values in wanted]]
    yours = CACHES if standin_choice.read_choice(environ) else hf_home.NAMES
    astray = [name for name in other if name not in yours]
    moved = [name for name in CACHE_ENV if environ.get(name) == private[name]]
    if astray:
        seen = ", ".join(f"{name}={environ.get(name, '(unset)')}" for name in astray[:4])
        expected = f"all {len(CACHE_ENV)} variables below {CACHE_ROOT}"
        found = Check("cache root", "warn", seen, expected, "drop the -e that sets them")
    elif moved:
        seen = f"{len(moved)} of {len(CACHE_ENV)} below {private['HOME'].rsplit('/', 1)[0]}, lost with the container"
        found = Check("cache root", "warn", seen, CACHE_ROOT, writable_hint(Path(CACHE_ROOT), whoami()))
    else:
        places = f"{CACHE_ROOT} and the workspace {root}" if root else CACHE_ROOT
        led = "".join(f"; {name}={environ.get(name, '(unset)')}" for name in other)
        found = Check("cache root", "ok", f"{len(CACHE_ENV) - len(other)} variables below {places}{led}")
    return [found, *_writable(environ)]


def _writable(environ: Mapping[str, str]) -> list[Check]:
    who = whoami()
    folders = {"outputs": environ.get(OUTPUTS_VARIABLE, OUTPUTS), "data": environ.get("LMUData", LMUDATA)}
    checks = []
    for name, folder in folders.items():
        path = Path(folder)
        if can_write(path):
            checks.append(Check(f"{name} folder", "ok", f"{path}, writable"))
        else:
            checks.append(
                Check(f"{name} folder", "fail", why_unwritable(path, who), f"{path} writable", writable_hint(path, who))
            )
    return checks


def check_disk(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Check free space against the needs of results and missing LLaVA weights."""
    absent = [model for model in MODELS if model.in_matrix and not _is_whole(model.repo, environ)]
    needs = {OUTPUTS: DISK_NEEDED, CACHE_ROOT: DISK_NEEDED + sum(model.gigabytes for model in absent)}
    checks = []
    for folder, needed in needs.items():
        there = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
        free = shutil.disk_usage(there).free / 1e9
        expected = f"{needed:.0f} GB" + (
            f" ({', '.join(m.name for m in absent)} to be fetched)" if needed > DISK_NEEDED else ""
        )
        hint = None if free >= needed else f"mount a larger disk at {folder}"
        checks.append(Check(f"disk {folder}", "warn" if hint else "ok", f"{free:.0f} GB free", expected, hint))
    return checks


def check_data(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Check the TSV files of the declared benchmarks.

    Each must be there and have VLMEvalKit's md5.
    """
    known = declared_editions()
    with ThreadPoolExecutor() as pool:
        digests = dict(
            zip(BENCHMARKS, pool.map(lambda one: table_md5(table_path(one.name, environ)), BENCHMARKS), strict=True)
        )
    present = [benchmark for benchmark, digest in digests.items() if digest]
    wanted = {one: editions.wanted_md5(one.name, one.md5, known, environ) for one in present}
    wrong = [one for one in present if digests[one] != wanted[one]]
    folder = environ.get("LMUData", LMUDATA)
    seen = f"{len(present)} of {len(BENCHMARKS)} in {folder}{_absent(digests)}"
    checks = [Check("benchmarks", "ok" if len(present) == len(BENCHMARKS) else "warn", seen, hint=_fetched(present))]
    if wrong:
        names = ", ".join(f"{one.name} {digests[one]}" for one in wrong)
        first = editions.accept_setting(wrong[0].name, str(digests[wrong[0]]), known)
        hint = f"move them away to have them downloaded, or accept one: {first}"
        checks.append(Check("benchmark md5", "fail", names, "the md5 VLMEvalKit declares", hint))
    elif present:
        checks.append(Check("benchmark md5", "ok", f"{len(present)} as declared"))
    return checks


def _absent(digests: Mapping[Benchmark, str | None]) -> str:
    names = [benchmark.name for benchmark, digest in digests.items() if not digest]
    return f"; absent: {', '.join(names)}" if 0 < len(names) < len(digests) else ""


def _fetched(present: list[Benchmark]) -> str | None:
    if len(present) == len(BENCHMARKS):
        return None
    return f'what is absent is downloaded at first use; offline, mount them: -v "$PWD/LMUData:{LMUDATA}"'


def check_weights(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Check which models load from the cache offline.

    One hint covers all absent models.
    """
    checks = [_weights(model, environ) for model in MODELS]
    first = next((index for index, check in enumerate(checks) if check.status == "warn"), None)
    if first is not None:
        hint = f"downloaded at first use; offline, mount a cache that holds them: -v CACHE:{HUGGINGFACE}"
        checks[first] = replace(checks[first], hint=checks[first].hint or hint)
    return checks


def _weights(model: Model, environ: Mapping[str, str]) -> Check:
    name = f"weights {model.name}"
    found = [snapshot(repo, environ) for repo in (model.repo, *model.needs)]
    torn = [f"{one.repo}: {fault}" for one in found for fault in _faults(one)]
    hidden = [one.hidden for one in found if one.hidden]
    absent = [one.repo for one in found if one.revision is None]
    if torn:
        return Check(
            name,
            "warn",
            "; ".join(torn),
            "every file its index and its auto_map name",
            "load it with a network to complete it",
        )
    if hidden:
        return Check(name, "warn", "; ".join(map(str, hidden)), "the name of a folder in snapshots/", hidden[0].cure)
    if absent:
        return Check(name, "warn", f"not in the cache (about {model.gigabytes:.0f} GB): {', '.join(absent)}")
    for one in found:
        if refusal := _code_refusal(one, environ):
            return Check(name, "warn", refusal.message, refusal.expected, refusal.hint)
    return Check(name, "ok", ", ".join(f"{one.repo} at {str(one.revision)[:8]}" for one in found))


def _faults(found: Snapshot) -> tuple[Fault, ...]:
    need_weights = used_files(found.repo) is None
    return find_faults(found.folder, need_weights=need_weights) if found.folder else ()


def _code_refusal(found: Snapshot, environ: Mapping[str, str]) -> InputRefused | None:
    """Return why a load would refuse the repository's remote code, or None."""
    code = executed.describe(found.folder) if found.folder else None
    if found.folder is None or not code or not code["files"]:
        return None
    try:
        admission.judge(found.repo, found.folder, code["sha256"], environ)
    except InputRefused as refused:
        return refused
    return None


def _is_whole(repo: str, environ: Mapping[str, str]) -> bool:
    found = snapshot(repo, environ)
    return found.folder is not None and not _faults(found)


def check_token(environ: Mapping[str, str] = os.environ, files: tuple[str, ...] = ENV_FILES) -> list[Check]:
    """Check for a Hugging Face token and name its source.

    The token's value is never shown.
    """
    for name in TOKEN_VARIABLES:
        if environ.get(name, "")[:1] in QUOTES:
            cure = "take the quotes out of the file, or mount it: docker run --env-file keeps them"
            return [Check("token", "warn", f"{name} begins with a quote", "the token alone", cure)]
        if environ.get(name):
            return [Check("token", "ok", f"set in {name}")]
    for path in map(Path, files):
        if path.is_dir():
            return [
                Check(
                    "token",
                    "warn",
                    f"{path} is a folder",
                    "a file",
                    "on the host, rmdir .env && touch .env; start again",
                )
            ]
        if path.is_file() and not os.access(path, os.R_OK):
            return [Check("token", "warn", f"{path} cannot be read", "a readable file", "chmod a+r it on the host")]
        if path.is_file() and (found := _token_name(path)):
            return [Check("token", "ok", f"{found} in {path}")]
    hint = 'for gated models: -v "$PWD/.env:/workspace/VLMEvalKit/.env", its line HUGGING_FACE_HUB_TOKEN=...'
    return [Check("token", "skip", "none; the LLaVA models need none", hint=hint)]


def _token_name(path: Path) -> str | None:
    try:
        values = parse_dot_env(path.read_bytes(), {})
    except UnicodeDecodeError:
        return None  # run.py warns of it
    return next((name for name in TOKEN_VARIABLES if values.get(name)), None)
