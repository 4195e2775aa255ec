"""Locks: pip-compile writes them with hashes, uv checks that .in and .lock agree.

A lock never carries an index URL or a local path. `NAME.nodeps.in`, where there is one, lists exact pins whose own
dependencies are not followed; their hashes are appended to NAME.lock.
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
from vldock.host.util import checkout

NODEPS_MARK = "# Installed without following their own metadata; reasons in"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
FORBIDDEN = re.compile(r"(https?://|file://|--index-url|--extra-index-url|--find-links|--trusted-host| @ )")


@dataclass(frozen=True)
class Lock:
    """One lock: NAME.in, optionally NAME.nodeps.in, and NAME.lock."""

    name: str
    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / f"{self.name}.in"

    @property
    def nodeps(self) -> Path:
        return self.folder / f"{self.name}.nodeps.in"

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.lock"


def all_locks(folder: Path) -> list[Lock]:
    """Return every lock of the folder, by name."""
    names = {p.name.removesuffix(".in").removesuffix(".nodeps") for p in folder.glob("*.in")}
    return [Lock(name, folder) for name in sorted(names)]


def normalise(name: str) -> str:
    """Return the PEP 503 form of a distribution name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Return {normalised name: version} of the exact pins in a requirements text."""
    return {normalise(name): version for name, version in PIN.findall(text)}


def clean_environment() -> dict[str, str]:
    """Return the environment without this machine's own package sources, so that none ends up in a lock."""
    dropped = {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_EXTRA_INDEX_URL", "PIP_CONSTRAINT"}
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "CUSTOM_COMPILE_COMMAND": "make lock"}


def run(argv: list[str], *, what: str) -> str:
    """Run a tool in the clean environment; raise VldockError with its last lines when it fails."""
    done = subprocess.run(argv, env=clean_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise VldockError(f"{what} failed (exit {done.returncode}):\n{tail}", hint="mend the .in file it names")
    return done.stdout


def nodeps_lines(lock: Lock) -> str:
    """Return the hashed lines of NAME.nodeps.in, hashes taken from the index by pip-tools."""
    from pip._internal.req.constructors import install_req_from_line
    from piptools.repositories import PyPIRepository

    os.environ.update(clean_environment())
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as cache:
        repository = PyPIRepository([], cache_dir=cache)
        blocks = []
        for name, version in sorted(pins(lock.nodeps.read_text()).items()):
            hashes = sorted(repository.get_hashes(install_req_from_line(f"{name}=={version}")))
            blocks.append(" \\\n".join([f"{name}=={version}", *(f"    --hash={value}" for value in hashes)]))
    return f"\n{NODEPS_MARK} {lock.nodeps.name}\n" + "\n".join(blocks) + "\n"


def compile_lock(lock: Lock, *, upgrade: tuple[str, ...] = ()) -> None:
    """Write NAME.lock from its .in files; the old lock stays until the new one is whole."""
    text = resolve(lock, upgrade=upgrade) if lock.source.exists() else ""
    if lock.nodeps.exists():
        text += nodeps_lines(lock)
    refuse_addresses(lock, text)
    aside = lock.path.with_suffix(".lock.tmp")
    aside.write_text(text)
    aside.replace(lock.path)


def resolve(lock: Lock, *, upgrade: tuple[str, ...]) -> str:
    """Return pip-compile's text for NAME.in; pins of the present lock stay unless they no longer fit."""
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / lock.path.name
        if lock.path.exists():
            draft.write_text(lock.path.read_text().split(NODEPS_MARK)[0])
        options = [
            "--generate-hashes",
            "--allow-unsafe",
            "--strip-extras",
            "--no-emit-index-url",
            "--quiet",
            "--no-emit-find-links",
            "--no-emit-trusted-host",
            "--resolver=backtracking",
        ]
        raised = [f"--upgrade-package={name}" for name in upgrade]
        run(
            [
                sys.executable,
                "-m",
                "piptools",
                "compile",
                *options,
                *raised,
                f"--output-file={draft}",
                str(lock.source),
            ],
            what=f"pip-compile {lock.source.name}",
        )
        return re.sub(r"(-r )?/\S*/(\S+\.in)", r"\1\2", draft.read_text())


def refuse_addresses(lock: Lock, text: str) -> None:
    """Raise InputRefused where a lock would carry an index URL, a local path or a requirement without hash."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and FORBIDDEN.search(line):
            raise InputRefused(f"{lock.path.name}:{number} holds an address: {line.strip()}", hint="make lock")
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if PIN.match(block) and "--hash=sha256:" not in block:
            raise InputRefused(f"{lock.path.name}: {block.split()[0]} has no hash", hint="make lock")


def check_lock(lock: Lock) -> list[str]:
    """Return the disagreements between .in and .lock, empty when a fresh resolution keeps every pin."""
    if not lock.path.exists():
        return [f"{lock.path.name} is missing"]
    text = lock.path.read_text()
    refuse_addresses(lock, text)
    resolved_part, _, nodeps_part = text.partition(NODEPS_MARK)
    wanted = pins(lock.nodeps.read_text()) if lock.nodeps.exists() else {}
    problems = compare(pins(nodeps_part), wanted)
    if not lock.source.exists():
        return problems
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / lock.path.name
        draft.write_text(resolved_part)
        search = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        uv = shutil.which("uv", path=search) or "uv"
        where = ["--python-version=3.11", "--python-platform=x86_64-manylinux_2_28"]
        run(
            [
                uv,
                "pip",
                "compile",
                "--quiet",
                "--no-config",
                "--no-header",
                *where,
                f"--output-file={draft}",
                str(lock.source),
            ],
            what=f"uv pip compile {lock.source.name}",
        )
        return problems + compare(pins(resolved_part), pins(draft.read_text()))


def compare(locked: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """Return one line per package whose locked version is not the wanted one."""
    return [
        f"{name}: locked {locked.get(name, 'nothing')}, .in asks for {wanted.get(name, 'nothing')}"
        for name in sorted(locked.keys() | wanted.keys())
        if locked.get(name) != wanted.get(name)
    ]


def main(argv: list[str]) -> int:
    """Write every lock (or those named), or with --check compare each with its .in; exit 4 on a disagreement."""
    folder = checkout.root() / "locks"
    named = [word for word in argv if not word.startswith("--")]
    problems: list[str] = []
    for lock in all_locks(folder):
        if named and lock.name not in named:
            continue
        print(f"{'checking' if '--check' in argv else 'locking'} {lock.path.name} ...", file=sys.stderr, flush=True)
        if "--check" in argv:
            problems += [f"{lock.path.name}: {line}" for line in check_lock(lock)]
        else:
            compile_lock(lock)
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    if problems:
        print("expected: every pin as its .in file resolves\nhint: make lock", file=sys.stderr)
    return 4 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        sys.exit(error.exit_code)
