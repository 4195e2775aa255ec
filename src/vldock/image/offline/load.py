"""load_dataset by name, the cache first, in steps that are told: each is logged (vldock.offline) and returned."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vldock.common.errors import VldockError
from vldock.image.offline import errors, readers
from vldock.image.offline.cached import Cached, Prepared, Snapshot, commit_of, elsewhere, find
from vldock.image.offline.mode import Mode, current
from vldock.image.offline.readers import Request
from vldock.image.offline.snapshots import by_snapshot

LOG = logging.getLogger("vldock.offline")
Outcome = Literal["told", "taken", "passed", "failed"]
NOTHING = object()


@dataclass(frozen=True)
class Step:
    """One step on the way: its name, what came of it, and why."""

    name: str
    outcome: Outcome
    said: str

    def __str__(self) -> str:
        return f"{self.name:<9} {self.outcome:<7} {self.said}"


@dataclass(frozen=True)
class Loaded:
    """A data set, the offline mode it was loaded in, and the steps that led to it."""

    dataset: Any
    mode: Mode
    steps: tuple[Step, ...]


@dataclass
class Search:
    """The state of one load: what is asked, where, the steps so far, what was found incomplete, the last error."""

    asked: Request
    root: Path
    mode: Mode
    cached: Cached
    commit: str | None
    on_step: Callable[[Step], None]
    steps: list[Step] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def tell(self, name: str, outcome: Outcome, said: str) -> None:
        """Note a step, log it and hand it on."""
        self.steps.append(Step(name, outcome, said))
        LOG.info("%s", self.steps[-1])
        self.on_step(self.steps[-1])

    def attempt(self, name: str, said: str, read: Callable[[], Any]) -> Any:
        """Read; NOTHING when the library failed, its error kept for the final message."""
        try:
            dataset = read()
        except VldockError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the library raises is told, and mapped when no step is left
            self.failures.append(error)
            self.tell(name, "failed", f"{said}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
            return NOTHING
        self.tell(name, "taken", said)
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
    on_step: Callable[[Step], None] = lambda step: None,
) -> Loaded:
    """Load a data set by name: Arrow files of the cache, else a snapshot there, else the library's own way.

    `cache_dir` is the datasets library's; repositories are looked for in the Hub library's cache. The offline setting
    is read and left as it is: only the last step asks the Hub, and not where the setting forbids it.
    Raises the errors of vldock.image.offline.errors.
    """
    import datasets.config
    from huggingface_hub import constants

    root, hub = Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser(), Path(constants.HF_HUB_CACHE)
    try:
        cached = find(name, arrow=root, hub=hub, also=() if cache_dir else elsewhere(root))
    except OSError as error:
        raise errors.mapped(error, name=name, folder=root) or error from error
    asked = Request(name, config, split, revision, in_memory, trust_remote_code)
    commit = commit_of(name, revision, hub=hub) if revision else None
    search = Search(asked, root, current(), cached, commit, on_step)
    search.tell("mode", "told", str(search.mode))
    for step in (_arrow, _snapshot, _library):
        dataset = step(search)
        if dataset is not NOTHING:
            return Loaded(dataset, search.mode, tuple(search.steps))
    raise _final(search) from search.failures[0]


def _arrow(search: Search) -> Any:
    chosen = _choose(search)
    if chosen is None:
        search.tell("arrow", "passed", f"no whole Arrow files in {search.root}")
        return NOTHING
    where = str(chosen.path)
    dataset = search.attempt("arrow", where, lambda: readers.by_lookup(chosen, search.asked))
    if dataset is NOTHING and any(isinstance(cause, OSError) for cause in errors.chain(search.failures[-1])):
        said = f"{where}, read without a lock"
        dataset = search.attempt("arrow", said, lambda: readers.by_files(chosen, search.asked))
    return dataset


def _choose(search: Search) -> Prepared | None:
    """Return the newest whole folder that has what is asked for. Raises AmbiguousConfiguration."""
    asked, fitting = search.asked, []
    for one in search.cached.prepared:
        if (asked.config and one.config != asked.config) or (search.commit and one.hash != search.commit):
            continue
        absent = [split for split in asked.splits if split not in one.splits]
        if one.missing or absent:
            search.incomplete += [f"{one.path}: {what}" for what in (*one.missing, *(f"split {s}" for s in absent))]
        else:
            fitting.append(one)
    configs = sorted({one.config for one in fitting})
    if len(configs) > 1 and "default" not in configs:
        raise errors.AmbiguousConfiguration(
            f"{asked.name} is cached in {len(configs)} configurations and none was named",
            expected=f"one of {', '.join(configs)}",
            hint=f'load_dataset("{asked.name}", "{configs[0]}")',
        )
    main = [one for one in fitting if len(configs) < 2 or one.config == "default"]
    return main[0] if main else None


def _snapshot(search: Search) -> Any:
    fitting = [one for one in search.cached.snapshots if not search.commit or one.commit == search.commit]
    search.incomplete += [f"{one.path}: {name}" for one in fitting for name in one.missing]
    whole = next((one for one in fitting if one.files and not one.missing), None)
    if whole is None:
        search.tell("snapshot", "passed", "no whole snapshot of the repository in the Hub's cache")
        return NOTHING
    return _read_snapshot(search, whole)


def _read_snapshot(search: Search, whole: Snapshot) -> Any:
    said = f"{whole.path} ({len(whole.files)} data files)"
    place = readers.place_to_prepare(search.root)
    if place != search.root:
        said += f"; Arrow files go to {place}, lost with the container: {search.root} cannot be written"
    return search.attempt("snapshot", said, lambda: by_snapshot(whole, search.asked, place))


def _library(search: Search) -> Any:
    asked = search.asked
    if search.mode.offline and asked.revision:  # offline it takes whatever revision it finds
        search.tell("library", "passed", f"its own lookup cannot tell revision {asked.revision}")
        search.failures.append(FileNotFoundError(f"revision {asked.revision} is not there"))
        return NOTHING
    said = "its own lookup (data sets that are scripts)" if search.mode.offline else "asks the Hub"
    return search.attempt("library", said, lambda: readers.by_library(asked, search.root))


def _final(search: Search) -> VldockError | Exception:
    """Return what to raise: disk, token or script first, then what is incomplete or unreadable, then absence."""
    asked = search.asked
    about = {"name": asked.name, "folder": search.root, "config": asked.config}
    mapped = [errors.mapped(one, **about) for one in search.failures]
    telling = [one for one in mapped if one is not None and not isinstance(one, errors.NotCached)]
    if telling:
        return telling[0]
    incomplete = [*search.incomplete, *(f"{path}: not finished" for path in search.cached.unfinished)]
    if incomplete:
        return errors.PartlyCached(
            f"{asked.name} is only partly in the cache: {'; '.join(incomplete[:5])}",
            expected="every split and file of it",
            hint=errors.fetch_hint(asked.name, asked.config),
        )
    if len(search.failures) > 1 or mapped[-1] is None:
        return errors.Unreadable(
            f"{asked.name} is in the cache and cannot be read: {str(search.failures[0]).splitlines()[0][:200]}",
            expected="files the datasets library can read",
            hint=f"vldock cache verify on the host tells damaged files; then {errors.fetch_hint(asked.name)}",
        )
    return mapped[-1]
