"""The promotion log: a JSON line before tags move and one after.

So that a killed run is found and finished. Stored in a local file and as an artifact in the registry; read back as
the union of both.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vldock.common.errors import EnvironmentUnfit, InputRefused

FILE = "promotions.jsonl"


@dataclass(frozen=True)
class Move:
    """Move of a tag: manifest digests before and after.

    The digest before is None for a new tag.
    """

    tag: str
    at: str | None
    to: str


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    A change about to happen ('started'), or one that has ('done'); `time` is ISO 8601, UTC.
    """

    id: str
    state: Literal["started", "done"]
    time: str
    action: Literal["promote", "rollback"]
    repository: str
    digest: str
    config: str
    moves: tuple[Move, ...]
    receipts: tuple[str, ...]
    signed: tuple[str, ...]
    source: str
    vldock: str

    def line(self) -> str:
        """Return the entry as a line of the log."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"

    def as_done(self, *, time: str) -> Entry:
        """Return the entry of the completed change."""
        return replace(self, state="done", time=time)

    def continues(self, other: Entry, *, tags: Collection[str]) -> bool:
        """Return whether a killed run of this change left `other`.

        The change sets `tags`.
        """
        goal = (self.action, self.repository, self.digest)
        theirs = {move.tag for move in other.moves}
        left = {move.tag for move in self.moves}
        return goal == (other.action, other.repository, other.digest) and left <= theirs <= set(tags)

    def with_moves(self, moves: Sequence[Move]) -> Entry:
        """Return the entry with the remaining moves as they are now.

        Completed moves are kept as recorded.
        """
        now = {move.tag: move for move in moves}
        return replace(self, moves=tuple(now.get(move.tag, move) for move in self.moves))


def parse(content: bytes, *, name: str) -> list[Entry]:
    """Read a log, without a last line cut off by a kill.

    Raises InputRefused for any other invalid line.
    """
    entries = []
    lines = content.decode("utf-8", "replace").splitlines(keepends=True)
    for number, text in enumerate(lines, 1):
        try:
            entries.append(_entry(json.loads(text)))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if number == len(lines) and not text.endswith("\n"):
                break
            raise InputRefused(
                f"{name}:{number} is no line of a promotion log: {error}",
                expected="JSON lines that vldock promote wrote",
                hint=f"move {name} away: the registry has a copy",
            ) from error
    return entries


def _entry(raw: dict[str, Any]) -> Entry:
    lists = {"receipts": tuple(raw["receipts"]), "signed": tuple(raw["signed"])}
    entry = Entry(**(raw | lists | {"moves": tuple(Move(**move) for move in raw["moves"])}))
    values = [value for name, value in vars(entry).items() if name not in ("moves", *lists)]
    moves = [text for move in entry.moves for text in (move.tag, move.to, move.at or "")]
    for value in (*values, *entry.receipts, *entry.signed, *moves):
        if not isinstance(value, str):
            raise TypeError(f"{value!r} where a text is expected")
    return entry


def merge(*logs: Sequence[Entry]) -> list[Entry]:
    """Return the union of several logs, in order of time.

    Each entry occurs once.
    """
    once = {(entry.id, entry.state): entry for log in logs for entry in log}
    return sorted(once.values(), key=lambda entry: (entry.time, entry.state == "done"))


def render(entries: Sequence[Entry]) -> bytes:
    """Return the bytes of the log."""
    return "".join(entry.line() for entry in entries).encode()


def find_unfinished(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that were started and never done."""
    done = {entry.id for entry in entries if entry.state == "done"}
    return [entry for entry in entries if entry.state == "started" and entry.id not in done]


def history(entries: Sequence[Entry], *, repository: str, tag: str) -> list[str]:
    """Return the digests a tag can go back through, the current one last.

    Promotions push to this stack, rollbacks pop from it."""
    stack: list[str] = []
    for entry in entries:
        for move in entry.moves:
            if entry.state != "done" or entry.repository != repository or move.tag != tag:
                continue
            if entry.action == "rollback" and move.to in stack[:-1]:
                while stack[-1] != move.to:
                    stack.pop()
                continue
            stack += [digest for digest in (move.at, move.to) if digest and stack[-1:] != [digest]]
    return stack


class LogFile:
    """The log file on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Entry]:
        """Return the entries; none where there is no file."""
        return parse(self.path.read_bytes(), name=str(self.path)) if self.path.exists() else []

    def append(self, entry: Entry) -> None:
        """Append an entry, on disk when this returns.

        A last line cut off by a kill is removed first.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                torn = stream.read(1) != b"\n"
                if torn:
                    self._drop_torn_line(stream)
            stream.write(entry.line().encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _drop_torn_line(self, stream: Any) -> None:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the log for one promotion.

        Raises EnvironmentUnfit while another has it. A kill releases the lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        with lock.open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise EnvironmentUnfit(
                    f"another promotion is using {self.path}",
                    expected="one promotion at a time",
                    hint="wait for it, or name another --log",
                ) from error
            yield
