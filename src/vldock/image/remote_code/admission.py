"""Admission of remote code: pinned in locks/weights.json, accepted by name, or refused.

    VLDOCK_ACCEPT_REMOTE_CODE=ORG/NAME[@<sha256 of its code, or its beginning>],...

A declared repository whose code no public source states has no pin: its code runs, and a line and the passport say so.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vldock.common import hashing, remote_code, standin_choice
from vldock.common.errors import InputRefused, UsageError
from vldock.common.matrix import MODELS
from vldock.image.remote_code import executed
from vldock.image.standin.manifest import ASSETS
from vldock.image.weights import model_files

ACCEPT = "VLDOCK_ACCEPT_REMOTE_CODE"
PINNED, ACCEPTED, UNPINNED, STANDIN = "pinned", "accepted", "not pinned", "stand-in"
DECLARED = {repo for model in MODELS for repo in (model.repo, *model.needs)}


def accepted_code(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return {repository: beginning of its code's sha256} of VLDOCK_ACCEPT_REMOTE_CODE.

    The beginning is empty for any code. Raises UsageError where malformed.
    """
    found = {}
    for entry in filter(None, environ.get(ACCEPT, "").replace(" ", "").split(",")):
        match = re.fullmatch(r"([^@]+)(?:@([0-9a-fA-F]{8,64}))?", entry)
        if match is None:
            raise UsageError(f"{ACCEPT}: {entry!r}", expected="ORG/NAME, or ORG/NAME@ and 8 to 64 digits of its sha256")
        found[match[1]] = (match[2] or "").lower()
    return found


def admit(repo: str, path: Path) -> None:
    """Admit or refuse a remote-code file of a snapshot, before it is copied.

    A repository's first file decides for all that are there. What is admitted is recorded (`executed`).
    Raises InputRefused, naming the file, as `judge` does and where the file changed since it was admitted.
    """
    name = executed.name_of(repo)
    known = executed.files_of(name)
    if path.name not in known:
        facts = executed.describe(path.parent, path.name)
        verdict = judge(name, path.parent, facts["sha256"])
        executed.record(name, {"verdict": verdict, **facts})
        _report(name, path.parent, verdict, facts["sha256"])
    for file, digest in known.items():
        _require_same(name, path.parent / file, digest)


def complete_copies(repo: str, source: Path, copies: Path) -> None:
    """Copy the admitted files of a folder that transformers leaves out.

    It follows the relative imports of a repository to the end, and those of a folder one level.
    """
    for file in executed.files_of(executed.name_of(repo)):
        if not (copies / file).exists():
            shutil.copyfile(source / file, copies / file)


def require_copies(repo: str, source: Path, copies: Path) -> None:
    """Require that the copies about to run are the files admitted; raise InputRefused, naming the file."""
    name = executed.name_of(repo)
    known = executed.files_of(name)
    for copy in copies.glob("*.py"):
        if copy.name != "__init__.py" or copy.stat().st_size:  # transformers makes an empty one
            _require_same(name, source / copy.name, known.get(copy.name), copy)


def judge(name: str, source: Path, digest: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return why the code of a repository may run; raise InputRefused where it may not.

    `digest` is the sha256 over its files.
    """
    if standin_choice.read_choice(environ) and source.is_relative_to(ASSETS):
        return STANDIN  # every file was compared with the manifest
    pin, accepted = remote_code.read_pin(name), accepted_code(environ).get(name)
    different = remote_code.describe_difference(pin, source)
    pinned = pin != remote_code.RemoteCode()
    if not different and (pinned or _is_pinned_elsewhere(source)):
        return PINNED
    if accepted is not None and digest.startswith(accepted):
        return ACCEPTED
    if accepted is None and not different and name in DECLARED:
        return UNPINNED
    if accepted:
        expected = f"sha256 {accepted[:16]}..., which {ACCEPT} accepts"
    else:
        known = f"the code pinned at commit {pin.revision}" if pin.revision else "the pinned code"
        expected = known if pinned else "unedited code of a repository this image declares"
    raise InputRefused(
        f"unknown remote code in {name}: {'; '.join(different) or f'sha256 {digest[:16]}'}",
        expected=expected,
        hint=f"{ACCEPT}={name}@{digest[:16]} accepts it; read it first, in {source}",
    )


def describe_repositories(repos: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return {repository: verdict, sha256, files} of those that have remote code.

    As it runs in this process; before it was loaded, as its snapshot has it, with no verdict where a load would refuse.
    """
    found = {}
    for repo in repos:
        name, folder = executed.name_of(repo), model_files.folder_of(repo)
        facts = executed.facts_of(name)
        if facts is None and folder is not None and (facts := executed.describe(folder))["files"]:
            with suppress(InputRefused):
                facts = {"verdict": judge(name, folder, facts["sha256"]), **facts}
        if facts and facts["files"]:
            found[name] = facts
    return found


def require_admitted(repos: Iterable[str]) -> None:
    """Refuse repositories here whose remote code a load would refuse; raise InputRefused as `judge` does.

    For a run that may have nothing left to ask, and then loads no model.
    """
    for repo in repos:
        name, folder = executed.name_of(repo), model_files.folder_of(repo)
        if folder is not None and (facts := executed.describe(folder))["files"]:
            judge(name, folder, facts["sha256"])


def _is_pinned_elsewhere(source: Path) -> bool:
    """Return whether the code is that of a declared repository, as a folder's copied from one is."""
    pins = [remote_code.read_pin(repo) for repo in DECLARED]
    return any(not remote_code.describe_difference(pin, source) for pin in pins if pin.blobs)


def _report(name: str, source: Path, verdict: str, digest: str) -> None:
    told = [f"runs code that locks/weights.json does not pin, sha256 {digest[:16]}"] if verdict == UNPINNED else []
    for text in [*told, *remote_code.find_unrunnable(source)]:
        print(f"vldock: remote code of {name}: {text}", file=sys.stderr, flush=True)


def _require_same(name: str, path: Path, admitted: str | None, copy: Path | None = None) -> None:
    """Require that a file, or its copy, is what was admitted."""
    read = copy or path
    if not read.is_file() or hashing.sha256_file(read) != admitted:
        raise InputRefused(
            f"{path.name} of {name} is not what this process runs under that name, in {path.parent}",
            expected="the same files as long as the process or session runs",
            hint="start it again; two folders of one name need two processes",
        )
