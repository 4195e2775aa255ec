"""Planning of patches against checked files; writing is all or nothing.

A file's one declared fact is the sha256 of upstream's text. Its state is found by undoing the edits of the known
patches and comparing the rest with that sha256, so that several patches may touch one file and nothing has to be
re-pinned when one of them changes. Standard library only.

Exit codes: 0 done (or, with --check, all applied), 1 not applied, 2 wrong arguments, 4 a file is not as declared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

EXIT_NOT_APPLIED = 1
EXIT_REFUSED = 4


class PatchRefusedError(Exception):
    """A file or a patch that does not match its declaration (exit 4)."""

    exit_code = EXIT_REFUSED

    def __init__(self, message: str, *, expected: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.hint = hint

    def render(self) -> str:
        """Return the three lines for standard error."""
        return f"error: {self.message}\nexpected: {self.expected}\nhint: {self.hint}"


class State(Enum):
    """State of a file with respect to one patch."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"


@dataclass(frozen=True)
class Package:
    """An upstream package: distribution, version, default root, sha256 of each file to patch."""

    dist: str
    version: str
    root: str
    originals: Mapping[str, str]

    @property
    def label(self) -> str:
        """Return `dist==version`, as written in the lock."""
        return f"{self.dist}=={self.version}"


@dataclass(frozen=True)
class Edit:
    """Replace `anchor` (exactly one occurrence) by `replacement` (exactly one occurrence once applied)."""

    anchor: str
    replacement: str


@dataclass(frozen=True)
class Patch:
    """Patch of one subject: upstream's fault, and its fix.

    The fix is edits, or whole new files.
    """

    name: str
    package: Package
    reason: str
    edits: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    new_files: Mapping[str, str] = field(default_factory=dict)
    upstream: str = ""
    verifier: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the files this patch touches, relative to the package's root."""
        return (*self.edits, *self.new_files)


@dataclass(frozen=True)
class Change:
    """A file to write: its text and the sha256 of that text."""

    path: Path
    text: str
    sha256: str


@dataclass(frozen=True)
class Plan:
    """Result of planning: the state of each patch, and the files to write."""

    states: Mapping[str, State]
    changes: tuple[Change, ...]

    @property
    def applied(self) -> bool:
        """Return whether every requested patch is applied already."""
        return all(state is State.APPLIED for state in self.states.values())


def sha256_text(text: str) -> str:
    """Return the sha256 of `text` encoded as UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def undo(edits: tuple[Edit, ...], text: str) -> str | None:
    """Return `text` as before `edits`, or None.

    None means that not all edits are in it.
    """
    for edit in reversed(edits):
        if text.count(edit.replacement) != 1:
            return None
        text = text.replace(edit.replacement, edit.anchor)
    return text


def redo(patch: Patch, path: str, text: str) -> str:
    """Return `text` with the edits of `patch` for `path`.

    Raises PatchRefusedError where an anchor does not occur exactly once.
    """
    before = text
    for edit in patch.edits[path]:
        seen = text.count(edit.anchor)
        if seen != 1:
            raise PatchRefusedError(
                f"{patch.name}: {path}: the anchor {edit.anchor.strip().splitlines()[0]!r} occurs {seen} times",
                expected=f"one occurrence, as in {patch.package.label}",
                hint="two patches overlap, or the patch was written for another version: see patches/README.md",
            )
        text = text.replace(edit.anchor, edit.replacement)
    if undo(patch.edits[path], text) != before:
        raise PatchRefusedError(
            f"{patch.name}: {path}: the edits cannot be undone, so a later check could not recognise them",
            expected="every replacement occurs exactly once in the patched file",
            hint="make the replacement longer or give it a comment",
        )
    return text


def read_text(path: Path) -> str:
    """Return the text of `path` byte for byte (no newline translation)."""
    with path.open(encoding="utf-8", newline="") as stream:
        return stream.read()


def _examine(package: Package, path: str, text: str, known: Iterable[Patch]) -> frozenset[str]:
    """Return the names of the known patches in `text`.

    Raises PatchRefusedError when the rest is not upstream's.
    """
    found, bare = set(), text
    for patch in reversed([patch for patch in known if path in patch.edits]):
        earlier = undo(patch.edits[path], bare)
        if earlier is not None:
            found.add(patch.name)
            bare = earlier
    if sha256_text(bare) != package.originals[path]:
        left = f" (sha256 {sha256_text(bare)} without the patches found in it)" if found else ""
        raise PatchRefusedError(
            f"{path} is not a file this patch knows: sha256 {sha256_text(text)}{left}",
            expected=f"sha256 {package.originals[path]}, the file of {package.label}, or that file with these patches",
            hint=f"reinstall {package.label}, or write the patch anew for the version that is there",
        )
    return frozenset(found)


def _read_target(root: Path, package: Package, path: str) -> str:
    target = root / path
    if not target.is_file():
        raise PatchRefusedError(
            f"{target} does not exist",
            expected=f"{package.label} unpacked under {root}",
            hint="give the folder that holds the package with --root",
        )
    return read_text(target)


def _read_targets(
    patches: Iterable[Patch], known: Iterable[Patch], root: Path
) -> tuple[dict[str, str], dict[str, frozenset[str]]]:
    """Return the text and the applied patches of each file.

    They are {path: text} and {path: names of the patches in it} of every file to edit.
    """
    texts: dict[str, str] = {}
    applied: dict[str, frozenset[str]] = {}
    for patch in patches:
        for path in patch.edits:
            if path not in texts:
                texts[path] = _read_target(root, patch.package, path)
                applied[path] = _examine(patch.package, path, texts[path], known)
    return texts, applied


def plan(patches: Iterable[Patch], *, known: Iterable[Patch], root: Path) -> Plan:
    """Plan the changes of patches; write nothing.

    Every file of `patches` (all of one package) is checked. `known` are all patches of the package, in order: those
    that may already be in a file. Raises PatchRefusedError.
    """
    requested, known = list(patches), list(known)
    before, applied = _read_targets(requested, known, root)
    after, states, new = dict(before), {}, {}
    for patch in requested:
        missing = [path for path in patch.edits if patch.name not in applied[path]]
        for path in missing:
            after[path] = redo(patch, path, after[path])
        absent = [path for path, text in patch.new_files.items() if _absent(root, patch, path, text)]
        new.update({path: patch.new_files[path] for path in absent})
        states[patch.name] = State.NOT_APPLIED if missing or absent else State.APPLIED
    texts = {path: text for path, text in after.items() if text != before[path]} | new
    return Plan(states, tuple(Change(root / path, text, sha256_text(text)) for path, text in texts.items()))


def _absent(root: Path, patch: Patch, path: str, text: str) -> bool:
    target = root / path
    if not target.exists():
        return True
    seen = read_text(target)
    if seen != text:
        raise PatchRefusedError(
            f"{patch.name}: {path} exists with another text: sha256 {sha256_text(seen)}",
            expected=f"no such file in {patch.package.label}, or sha256 {sha256_text(text)}",
            hint="move the file away",
        )
    return False
