"""Preparation of a container before anything runs: user, writable folders, .env.

The path of this file is named in images already shipped (entrypoint.sh): it must remain here.

The entrypoint evaluates what `python -I -S -B preflight.py --shell` prints; run.py and `python -m vldock.image` call
`apply`, because a `docker exec` does not pass through an entrypoint. What cannot be written is moved below a private
folder in /tmp, and only that; each move is one line on standard error that names the mount to fix. It runs at every
start, so it imports nothing slow (a dataclass alone would cost 25 ms).

Exit status of the script: 0, or 3 where not even a temporary folder can be written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from vldock.common import standin_choice
from vldock.common.cache_env import CACHE_ENV, CACHE_ROOT, FEATURES_VARIABLE, HUGGINGFACE, LMUDATA, OUTPUTS
from vldock.common.caches import hf_home, links, locations
from vldock.common.errors import VldockError
from vldock.common.filesystem.permissions import (
    Identity,
    can_read,
    can_write,
    is_unreadable,
    make_writable,
    private_folder,
    read_error,
    temporary_root,
    whoami,
    why_unwritable,
    writable_hint,
)
from vldock.common.image_paths import ENV_FILES

OUTPUTS_VARIABLE = "VLDOCK_OUTPUTS"
DATA_FACE, DATA_MOUNT = "lmudata", "VLDOCK_DATA_MOUNT"  # what $LMUData moved to, and where it was
SHARED_UMASK = 0o002  # what a container writes can be tidied up by the caller's group


class Preparation(NamedTuple):
    """Variables to set, and notes for the user, each with its hint."""

    env: dict[str, str]
    notes: list[str]


def prepare(
    environ: Mapping[str, str],
    *,
    who: Identity | None = None,
    env_files: tuple[str, ...] = ENV_FILES,
    check_env_files: bool = True,
) -> Preparation:
    """Return the variables that fit this container to its user, and notes.

    Creates outputs, data, home and the links of the caches; the caches are made by the tools that use them.
    Raises EnvironmentUnfit when a folder must be moved and nothing is writable, UsageError for a VLDOCK_STANDIN that
    means nothing.
    """
    who = who or whoami()
    plan = Preparation({}, [])
    standin = standin_choice.read_choice(environ)
    _name_user(environ, who, plan)
    _place_temporary(environ, who, plan)
    if not standin:
        _place_models({**environ, **plan.env}, who, plan, env_files)
    _place_caches({**environ, **plan.env}, who, plan)
    if standin != standin_choice.ALL:  # which brings benchmarks and a folder for them along
        _place_data(environ, who, plan)
    _place_outputs(environ, who, plan)
    for path in env_files if check_env_files else ():
        _check_env_file(Path(path), who, plan)
    return plan


def apply(environ: MutableMapping[str, str]) -> None:
    """Prepare `environ` in place, set the umask, and print the notes.

    Notes go to standard error; .env has its own reader.
    """
    os.umask(SHARED_UMASK)
    plan = prepare(environ, check_env_files=False)
    environ.update(plan.env)
    for note in plan.notes:
        print(f"vldock: {note}", file=sys.stderr)


def _name_user(environ: Mapping[str, str], who: Identity, plan: Preparation) -> None:
    name = who.name or f"uid{who.uid}"
    plan.env.update({variable: name for variable in ("USER", "LOGNAME") if not environ.get(variable)})


def _place_temporary(environ: Mapping[str, str], who: Identity, plan: Preparation) -> None:
    if not can_write(Path(environ.get("TMPDIR", "/tmp"))):
        plan.env["TMPDIR"] = str(temporary_root(environ, who))


def _place_models(environ: dict[str, str], who: Identity, plan: Preparation, env_files: tuple[str, ...]) -> None:
    """Place Hugging Face's caches: where the user's HF_HOME says, in one view of every layout."""
    environ |= (given := locations.user_variables(environ, env_files))
    locations.join(environ)
    views, notes = locations.find_views(environ, who)
    plan.env.update({**given, **views})
    plan.notes.extend(notes)


def _place_caches(environ: Mapping[str, str], who: Identity, plan: Preparation) -> None:
    blocked: dict[str, Path] = {}
    for variable, default in CACHE_ENV.items():
        path = Path(environ.get(variable, default))
        of_models = variable in ("HF_HOME", *hf_home.HUB_VARIABLES) and _is_of_use(path)
        if can_write(path) or of_models or (variable == FEATURES_VARIABLE and _holds_features(path)):
            plan.env.update({} if variable in environ else {variable: str(path)})
        else:
            blocked[variable] = path
    if is_unreadable(hub := Path(environ.get("HF_HOME", HUGGINGFACE))):
        plan.notes.append(_told(hub, who))
    root = private_folder(environ, who, "cache") if blocked else None
    plan.env.update({name: f"{root}{CACHE_ENV[name].removeprefix(CACHE_ROOT)}" for name in blocked})
    placed = {**CACHE_ENV, **environ, **plan.env}
    make_writable(Path(placed["HOME"]))
    if placed["HF_HOME"] != HUGGINGFACE:
        plan.env[hf_home.SETTLED] = placed["HF_HOME"]
    if not blocked:
        return
    reason = why_unwritable(next(iter(blocked.values())), who)
    hint = writable_hint(Path(CACHE_ROOT), who)
    plan.notes.append(f"{len(blocked)} caches go to {root}, lost with the container: {reason}. hint: {hint}")


def _told(path: Path, who: Identity) -> str:
    error = read_error(path, who)
    return f"{error.message}. hint: {error.hint}"


def _is_of_use(path: Path) -> bool:
    """Return whether an unwritable model cache is to be used all the same.

    It holds models, or cannot be read. An empty one elsewhere in place of an unreadable one would only hide why the
    weights are not found.
    """
    return is_unreadable(path) or any(map(links.list_repositories, links.list_views(path)))


def _holds_features(path: Path) -> bool:
    """Return whether an unwritable feature cache holds features to read."""
    return can_read(path) and path.is_dir() and any(child.is_dir() for child in path.iterdir())


def _place_data(environ: Mapping[str, str], who: Identity, plan: Preparation) -> None:
    """Place $LMUData: a read-only folder gets a writable folder of links.

    VLMEvalKit writes each benchmark's images beside its TSV.
    """
    path = Path(environ.get("LMUData", LMUDATA))
    if make_writable(path):
        plan.env.update({} if "LMUData" in environ else {"LMUData": str(path)})
        return
    if is_unreadable(path):
        plan.notes.append(_told(path, who))
        return
    face = private_folder(environ, who, DATA_FACE)
    for table in path.glob("*.tsv") if path.is_dir() and can_read(path) else ():
        link = face / table.name
        if not os.path.lexists(link):
            link.symlink_to(table)
    plan.env.update({"LMUData": str(face), DATA_MOUNT: str(path)})
    reason, hint = why_unwritable(path, who), writable_hint(path, who)
    plan.notes.append(f"benchmark images go to {face}, lost with the container: {reason}. hint: {hint}")


def _place_outputs(environ: Mapping[str, str], who: Identity, plan: Preparation) -> None:
    path = Path(environ.get(OUTPUTS_VARIABLE, OUTPUTS))
    if make_writable(path):
        plan.env[OUTPUTS_VARIABLE] = str(path)
        return
    aside = private_folder(environ, who, "outputs")
    plan.env[OUTPUTS_VARIABLE] = str(aside)
    reason, hint = why_unwritable(path, who), writable_hint(path, who)
    plan.notes.append(f"results go to {aside} and are lost with the container: {reason}. hint: {hint}")


def _check_env_file(path: Path, who: Identity, plan: Preparation) -> None:
    if path.is_dir():
        plan.notes.append(
            f"{path} is a folder, so no token was read: docker makes one when the file to mount is missing on the "
            "host. hint: on the host, rmdir .env && touch .env (its line: HUGGING_FACE_HUB_TOKEN=...), start again"
        )
    elif path.exists() and not can_read(path):
        owner = path.stat()
        plan.notes.append(
            f"{path} belongs to {owner.st_uid}:{owner.st_gid} and uid {who.uid} cannot read it, so no token was read. "
            f"hint: start with --user {owner.st_uid}:{owner.st_gid}, or chmod a+r it on the host"
        )


def main(argv: list[str]) -> int:
    """Print `export` lines for a shell to evaluate (--shell), notes on standard error."""
    if argv != ["--shell"]:
        print("usage: preflight.py --shell", file=sys.stderr)
        return 2
    try:
        plan = prepare(os.environ)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    for note in plan.notes:
        print(f"vldock: {note}", file=sys.stderr)
    for variable, value in plan.env.items():
        quoted = value.replace("'", "'\\''")
        print(f"export {variable}='{quoted}'")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
