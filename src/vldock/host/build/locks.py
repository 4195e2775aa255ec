"""Locks of Python packages with hashes: pip-tools writes them, uv checks them.

NAME.in holds requirements and NAME.nodeps.in exact pins whose own dependencies are not followed; NAME.lock holds what
both come to, and never an index URL or a local path. Why two tools: decisions/0003-lock-writer-and-checker.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import InputRefused, VldockError
from vldock.common.filesystem.atomic import write_text
from vldock.host.util import checkout

NODEPS_MARK = "# Installed without following their own metadata; reasons in"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)")
HASH = re.compile(r"--hash=(sha256:[0-9a-f]+)")
FORBIDDEN = re.compile(r"(https?://|file://|--index-url|--extra-index-url|--find-links|--trusted-host| @ )")
OWN_SOURCES = ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "UV_FIND_LINKS", "UV_EXTRA_INDEX_URL")
PIP_COMPILE = (
    *("-m", "piptools", "compile", "--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--resolver=backtracking"),
)
UV_COMPILE = (
    *("pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "--generate-hashes"),
    *("--python-version=3.11", "--python-platform=x86_64-manylinux_2_28"),
)


@dataclass(frozen=True)
class Lock:
    """NAME.lock and the files it is made of: NAME.in, NAME.nodeps.in, or both."""

    name: str
    folder: Path

    @property
    def source(self) -> Path:
        """Requirements followed to their dependencies."""
        return self.folder / f"{self.name}.in"

    @property
    def nodeps(self) -> Path:
        """Exact pins not followed to their dependencies."""
        return self.folder / f"{self.name}.nodeps.in"

    @property
    def path(self) -> Path:
        """The lock itself."""
        return self.folder / f"{self.name}.lock"

    def parts(self) -> tuple[str, str]:
        """Return the lock's pins of NAME.in and of NAME.nodeps.in, as text.

        Both are empty without a lock.
        """
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        followed, _, alone = text.partition(NODEPS_MARK)
        return followed, alone.partition("\n")[2]


@dataclass(frozen=True)
class Pin:
    """An exact version and the sha256 of its files."""

    version: str = "nothing"
    hashes: frozenset[str] = frozenset()


def all_locks(folder: Path) -> list[Lock]:
    """Return every lock of the folder, by name."""
    names = {p.name.removesuffix(".in").removesuffix(".nodeps") for p in folder.glob("*.in")}
    return [Lock(name, folder) for name in sorted(names)]


def parse_pins(text: str) -> dict[str, Pin]:
    """Return {name in its PEP 503 form: pin} of a requirements text."""
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if match := PIN.match(block):
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = Pin(match[2], frozenset(HASH.findall(block)))
    return found


def clean_environment() -> dict[str, str]:
    """Return the environment without this machine's own package sources.

    None of them may end up in a lock.
    """
    kept = {key: value for key, value in os.environ.items() if key not in OWN_SOURCES}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "CUSTOM_COMPILE_COMMAND": "make lock"}


def run(argv: list[str], *, what: str) -> None:
    """Run a tool in the clean environment.

    Raises VldockError with the tool's last lines when it fails.
    """
    done = subprocess.run(argv, env=clean_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise VldockError(f"{what} failed (exit {done.returncode}):\n{tail}", hint="mend the .in file it names")


def resolve_with_pip_tools(source: Path, present: str) -> str:
    """Return pip-compile's text for a .in file.

    Pins and hashes of the present lock are kept while they fit.
    """
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / f"{source.stem}.lock"
        if present:
            draft.write_text(present, encoding="utf-8")
        run(
            [sys.executable, *PIP_COMPILE, f"--output-file={draft}", str(source)],
            what=f"pip-compile {source.name}",
        )
        return re.sub(r"(-r )?/\S*/(\S+\.in)", r"\1\2", draft.read_text(encoding="utf-8"))


def resolve_with_uv(source: Path, present: str, *, follow: bool) -> str:
    """Return uv's text for a .in file; with `follow`, dependencies included.

    Pins and hashes of `present` are kept while they fit.

    A pin of `present` without hashes gets all hashes the index has of it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / f"{source.stem}.lock"
        draft.write_text(present, encoding="utf-8")
        search = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        run(
            [
                *(shutil.which("uv", path=search) or "uv", *UV_COMPILE, *(() if follow else ("--no-deps",))),
                *(f"--output-file={draft}", str(source)),
            ],
            what=f"uv pip compile {source.name}",
        )
        return draft.read_text(encoding="utf-8")


def write_lock(lock: Lock) -> None:
    """Write NAME.lock from its .in files.

    The old lock remains until the new one is complete.
    """
    followed, alone = lock.parts()
    text = resolve_with_pip_tools(lock.source, followed) if lock.source.exists() else ""
    if lock.nodeps.exists():
        text += f"\n{NODEPS_MARK} {lock.nodeps.name}\n" + resolve_with_uv(lock.nodeps, alone, follow=False)
    refuse_addresses(lock, text)
    write_text(lock.path, text)


def refuse_addresses(lock: Lock, text: str) -> None:
    """Raise InputRefused for an address or an unhashed pin.

    An address is an index URL or a local path.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and FORBIDDEN.search(line):
            raise InputRefused(f"{lock.path.name}:{number} holds an address: {line.strip()}", hint="make lock")
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if PIN.match(block) and not HASH.search(block):
            raise InputRefused(f"{lock.path.name}: {block.split()[0]} has no hash", hint="make lock")


def check_lock(lock: Lock) -> list[str]:
    """Return the disagreements between .in, .lock and index.

    Empty when a fresh resolution keeps every pin and the index knows every hash.
    """
    if not lock.path.exists():
        return [f"{lock.path.name} is missing"]
    refuse_addresses(lock, lock.path.read_text(encoding="utf-8"))
    problems = []
    for source, part, follow in zip((lock.source, lock.nodeps), lock.parts(), (True, False), strict=True):
        locked = parse_pins(part)
        versions = "".join(f"{name}=={pin.version}\n" for name, pin in locked.items())  # a hash uv would believe
        fresh = parse_pins(resolve_with_uv(source, versions, follow=follow)) if source.exists() else {}
        problems += compare(locked, fresh)
    return problems


def compare(locked: dict[str, Pin], fresh: dict[str, Pin]) -> list[str]:
    """Return one line per package different from the index.

    Such a package has another version there, or a locked hash unknown to the index. The index may have more hashes: a
    file can be added to a release.
    """
    lines = []
    for name in sorted(locked.keys() | fresh.keys()):
        here, there = locked.get(name, Pin()), fresh.get(name, Pin())
        if here.version != there.version:
            lines.append(f"{name}: locked {here.version}, .in asks for {there.version}")
        else:
            foreign = sorted(here.hashes - there.hashes)
            lines += [f"{name}: {value[:19]}... is no file of {name}=={here.version}" for value in foreign]
    return lines


def main(argv: list[str]) -> int:
    """Write every lock, or those named; with --check compare each with its .in.

    Returns the exit code: 4 on a disagreement.
    """
    check = "--check" in argv
    named = [word for word in argv if not word.startswith("--")]
    problems: list[str] = []
    for lock in all_locks(checkout.root() / "locks"):
        if named and lock.name not in named:
            continue
        print(f"{'checking' if check else 'locking'} {lock.path.name} ...", file=sys.stderr, flush=True)
        if check:
            problems += [f"{lock.path.name}: {line}" for line in check_lock(lock)]
        else:
            write_lock(lock)
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    if problems:
        print(
            "expected: every pin as its .in file resolves, every hash one of the index\n"
            "hint: make lock; it keeps hashes it finds: git diff locks/ shows who changed one",
            file=sys.stderr,
        )
    return 4 if problems else 0
