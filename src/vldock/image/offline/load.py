"""Loading of data sets by name, from the cache first.

`load` does it. Each step is logged (vldock.offline) and returned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vldock.common.errors import UsageError, VldockError
from vldock.image.offline import errors, readers, streams
from vldock.image.offline.cached import Cached, Prepared, Snapshot, commit_of, find_as_named
from vldock.image.offline.mode import Mode, current
from vldock.image.offline.places import find_places
from vldock.image.offline.readers import Request
from vldock.image.offline.snapshots import Reader, open_snapshot
from vldock.image.process import env_file

LOG = logging.getLogger("vldock.offline")
Outcome = Literal["told", "taken", "passed", "failed"]
NOTHING = object()


@dataclass(frozen=True)
class Step:
    """One step of the search: name, outcome, reason."""

    name: str
    outcome: Outcome
    said: str

    def __str__(self) -> str:
        return f"{self.name:<9} {self.outcome:<7} {self.said}"


@dataclass(frozen=True)
class Loaded:
    """Loaded data set, with the offline mode and the search's steps."""

    dataset: Any
    mode: Mode
    steps: tuple[Step, ...]


@dataclass
class Search:
    """State of one load: request, cache, steps, incomplete files, library errors."""

    request: Request
    root: Path
    mode: Mode
    cached: Cached
    commit: str | None
    on_step: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def record(self, name: str, outcome: Outcome, said: str, *, level: int = logging.INFO) -> None:
        """Record a step, log it and pass it to `on_step`."""
        self.steps.append(Step(name, outcome, said))
        LOG.log(level, "%s", self.steps[-1])
        self.on_step(self.steps[-1])

    def attempt(self, name: str, said: str, read: Callable[[], Any]) -> Any:
        """Return `read()`, or NOTHING if the library failed.

        The library's error is recorded for the final message.
        """
        try:
            dataset = read()
        except VldockError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the library raises is recorded, and mapped when no step remains
            self.failures.append(error)
            self.record(name, "failed", f"{said}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
            return NOTHING
        self.record(name, "taken", said)
        return dataset


def load(
    name: str,
    config: str | None = None,
    *,
    split: str | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    in_memory: bool = False,
    trust_remote_code: bool | None = None,
    streaming: bool = False,
    copy: bool = True,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Loaded:
    """Load a data set from the cache or by the library.

    Cached Arrow files come first, then a snapshot, then the library's own lookup.
    `cache_dir` is the datasets library's; snapshots are found in the Hub library's cache. The offline setting is read
    and left unchanged: only the last step asks the Hub, and not where the setting forbids it.
    `streaming` returns an IterableDataset of either. Arrow files made of a snapshot are a second full copy, measured
    and logged before it is made; with `copy=False` the snapshot is streamed instead.
    Raises the errors of vldock.image.offline.errors.
    """
    env_file.load_mounted()
    import datasets.config  # noqa: F401 - the folders it has read are asked for
    from huggingface_hub import constants  # noqa: F401

    if streaming and in_memory:
        raise UsageError("streaming=True and in_memory=True", expected="one of them", hint="leave out in_memory")
    places = find_places(cache_dir)
    root = places.arrow
    try:
        name, cached = find_as_named(name, arrow=root, hub=places.hub, also=places.also)
    except OSError as error:
        raise errors.map_error(error, name=name, folder=root) or error from error
    request = Request(name, config, split, revision, in_memory, trust_remote_code, streaming, copy)
    commit = commit_of(name, revision, hub=places.hub, also=places.also) if revision else None
    search = Search(request, root, current(), cached, commit, on_step)
    search.record("mode", "told", str(search.mode))
    for step in (_arrow, _snapshot, _library):
        dataset = step(search)
        if dataset is not NOTHING:
            return Loaded(dataset, search.mode, tuple(search.steps))
    raise _final(search) from search.failures[0]


def _arrow(search: Search) -> Any:
    chosen = _choose(search)
    if chosen is None:
        search.record("arrow", "passed", f"no whole Arrow files in {search.root}")
        return NOTHING
    where = str(chosen.path)
    dataset = search.attempt("arrow", where, lambda: readers.read_by_builder(chosen, search.request))
    if dataset is NOTHING and any(isinstance(cause, OSError) for cause in errors.causes_of(search.failures[-1])):
        said = f"{where}, read without a lock"
        dataset = search.attempt("arrow", said, lambda: readers.read_files(chosen, search.request))
    return streams.of_rows(dataset) if search.request.streaming and dataset is not NOTHING else dataset


def _choose(search: Search) -> Prepared | None:
    """Return the newest complete folder that has the request.

    Raises AmbiguousConfiguration.
    """
    complete = [item for item in search.cached.prepared if _matches(item, search) and not _note_missing(item, search)]
    configs = sorted({item.config for item in complete})
    if len(configs) < 2:
        return complete[0] if complete else None
    if "default" not in configs:
        raise errors.AmbiguousConfiguration(
            f"{search.request.name} is cached in {len(configs)} configurations and none was named",
            expected=f"one of {', '.join(configs)}",
            hint=f'load_dataset("{search.request.name}", "{configs[0]}")',
        )
    return next(item for item in complete if item.config == "default")


def _matches(item: Prepared, search: Search) -> bool:
    """Return whether a folder is of the requested configuration and commit."""
    config, commit = search.request.config, search.commit
    return not (config and item.config != config) and not (commit and item.hash != commit)


def _note_missing(item: Prepared, search: Search) -> list[str]:
    """Return the files and requested splits missing from a folder.

    They are recorded for the final message.
    """
    splits = [f"split {split}" for split in search.request.splits if split not in item.splits]
    missing = [*item.missing, *splits]
    search.incomplete += [f"{item.path}: {what}" for what in missing]
    return missing


def _snapshot(search: Search) -> Any:
    fitting = [one for one in search.cached.snapshots if not search.commit or one.commit == search.commit]
    search.incomplete += [f"{one.path}: {name}" for one in fitting for name in one.missing]
    whole = next((one for one in fitting if one.files and not one.missing), None)
    if whole is None:
        search.record("snapshot", "passed", "no whole snapshot of the repository in the Hub's cache")
        return NOTHING
    return _read_snapshot(search, whole)


def _read_snapshot(search: Search, whole: Snapshot) -> Any:
    request, place = search.request, readers.writable_root(search.root)
    said = f"{whole.path} ({len(whole.files)} data files)"
    if request.streaming or not request.copy:
        said += ", streamed; no copy is made" + ("" if request.streaming else ": copy=False")
        return search.attempt("snapshot", said, lambda: open_snapshot(whole, request, None).stream(request))
    if place != search.root:
        said += f"; Arrow files go to {place}, lost with the container: {search.root} cannot be written"
    return search.attempt("snapshot", said, lambda: _copy(search, open_snapshot(whole, request, place), place))


def _copy(search: Search, reader: Reader, place: Path) -> Any:
    """Return the data set from Arrow files made now.

    Raises NoSpace before anything is made where they do not fit.
    """
    copy = reader.measure_copy(place)
    copy.require_room()
    search.record("copy", "told", str(copy), level=logging.WARNING)
    return reader.prepare(search.request)


def _library(search: Search) -> Any:
    request = search.request
    if search.mode.offline and request.revision:  # offline it takes whatever revision it finds
        search.record("library", "passed", f"its own lookup cannot tell revision {request.revision}")
        search.failures.append(FileNotFoundError(f"revision {request.revision} is not there"))
        return NOTHING
    said = "its own lookup (data sets that are scripts)" if search.mode.offline else "asks the Hub"
    return search.attempt("library", said, lambda: readers.load_by_library(request, search.root))


def _final(search: Search) -> VldockError | Exception:
    """Return the error to raise after all steps failed.

    Disk, token or script first, then incomplete or unreadable, then absent.
    """
    request = search.request
    mapped = [
        errors.map_error(failure, name=request.name, folder=search.root, config=request.config)
        for failure in search.failures
    ]
    specific = [error for error in mapped if error is not None and not isinstance(error, errors.NotCached)]
    if specific:
        return specific[0]
    incomplete = [*search.incomplete, *(f"{path}: not finished" for path in search.cached.unfinished)]
    if incomplete:
        return errors.PartlyCached(
            f"{request.name} is only partly in the cache: {'; '.join(incomplete[:5])}",
            expected="every split and file of it",
            hint=errors.fetch_hint(request.name, request.config),
        )
    if len(search.failures) > 1 or mapped[-1] is None:
        return errors.Unreadable(
            f"{request.name} is in the cache and cannot be read: {str(search.failures[0]).splitlines()[0][:200]}",
            expected="files the datasets library can read",
            hint=f"vldock cache verify on the host tells damaged files; then {errors.fetch_hint(request.name)}",
        )
    return mapped[-1]
