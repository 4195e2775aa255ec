"""Path arguments of `vldock predict`: mounts, and arguments in the container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vldock.common import workspace
from vldock.common.cache_env import WORKSPACE
from vldock.common.errors import UsageError
from vldock.host.containers.spec import Mount

INPUTS, ANSWERS, MODELS = f"{WORKSPACE}/inputs", f"{WORKSPACE}/answers", f"{WORKSPACE}/models"
COMMAND = ("python", "-m", "vldock.image", "predict")
PLAIN = ("--json", "--stream", "--no-stream", "-h", "--help")  # options without a value


@dataclass(frozen=True)
class MountedArguments:
    """A command in the container: arguments, mounts, standard input, variables."""

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    stdin: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


def translate(words: Sequence[str], *, root: Path | None = None) -> MountedArguments:
    """Return the arguments of `vldock.image predict`, with this machine's files mounted.

    UsageError for a file that is not there.

    Images and models are mounted read-only, the folder of --questions too (its images are beside it), the folder of
    --out writable; `root` is a workspace, mounted at its own path.
    """
    mounts: list[Mount] = []
    argv: list[str] = []
    asked = False
    for option, value in _pairs(words):
        if value is None:
            argv.append(option)
        elif option:
            argv += [option, _value(option, value, mounts)]
        else:
            asked = asked or value != "-"
            argv.append(value)
    env = _workspace(root.expanduser().resolve(), mounts) if root else {}
    stdin = "-" in argv or not (asked or {"--questions", "-h", "--help"} & set(argv))
    return MountedArguments((*COMMAND, *argv), tuple(mounts), stdin, env)


def _workspace(root: Path, mounts: list[Mount]) -> Mapping[str, str]:
    """Mount a workspace at its own path and return its variables."""
    if not root.is_dir():
        raise UsageError(f"--workspace {root}: no such folder", hint=f"scripts/setup_workspace_cache.py {root}")
    mounts.append(Mount(root, str(root)))
    return workspace.variables(root)


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield (option, value), (option, None) without a value, ("", word) for the question."""
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            yield "", word
        elif word in PLAIN:
            yield word, None
        elif equals:
            yield option, value
        elif (following := next(rest, None)) is None:
            raise UsageError(f"{word} needs a value", hint="vldock predict -- --help")
        else:
            yield word, following


def _value(option: str, value: str, mounts: list[Mount]) -> str:
    """Mount the path a value names, and return the value inside the container."""
    inputs = f"{INPUTS}/{len(mounts)}"
    if option == "--image" and not _elsewhere(value):
        return _mounted(_file(option, value), inputs, mounts)
    if option == "--questions" and value != "-":
        path = _file(option, value)
        mounts.append(Mount(path.parent, inputs, read_only=True))
        return f"{inputs}/{path.name}"
    if option == "--out":
        path = Path(value).expanduser().resolve()
        if not path.parent.is_dir():
            raise UsageError(f"--out {value}: no such folder", expected="a file in a folder that is there")
        mounts.append(Mount(path.parent, ANSWERS))
        return f"{ANSWERS}/{path.name}"
    if option in ("--model", "--model-base") and Path(value).expanduser().is_dir():
        return _model(Path(value).expanduser().resolve(), mounts)
    return value


def _elsewhere(value: str) -> bool:
    return value == "-" or value.startswith(("http://", "https://", "data:", f"{WORKSPACE}/"))


def _file(option: str, value: str) -> Path:
    path = Path(value).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"{option} {value}: " + ("it is a folder" if path.is_dir() else "no such file"))
    return path


def _mounted(path: Path, target: str, mounts: list[Mount]) -> str:
    mounts.append(Mount(path, f"{target}/{path.name}", read_only=True))
    return mounts[-1].target


def _model(path: Path, mounts: list[Mount]) -> str:
    """Mount a folder of weights below models/.

    A snapshot of a Hub cache is mounted with the blobs its links point to.
    """
    if path.parent.name == "snapshots":
        repo = path.parents[1]
        mounts.append(Mount(repo, f"{MODELS}/{repo.name}", read_only=True))
        return f"{MODELS}/{repo.name}/snapshots/{path.name}"
    mounts.append(Mount(path, f"{MODELS}/{path.name}", read_only=True))
    return mounts[-1].target
