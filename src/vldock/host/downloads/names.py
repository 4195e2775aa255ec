"""Names of a fetch or check: benchmarks, models and repositories, data sets of the Hub.

A name of one kind given to another is refused with the command of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from vldock.common import dataset_names, matrix
from vldock.common.errors import UsageError
from vldock.common.hub_cache_layout import COMMIT, DATASETS, REPOSITORY
from vldock.host.downloads.locked_files import LockedData, LockedRepo, WeightsLock
from vldock.host.runs import plan as run_plan

DATASET = re.compile(r"([A-Za-z0-9][\w.\-]*/)?[A-Za-z0-9][\w.\-]*")
ANY = "ORG/NAME of a repository on the Hub"


def choose_data(names: Sequence[str], locked: Iterable[LockedData]) -> tuple[LockedData, ...]:
    """Return the chosen benchmarks; without a name all 20 of the matrix.

    Raises UsageError for an unknown one.
    """
    try:
        chosen = run_plan.choose_benchmarks(",".join(names) or "all")
    except UsageError as error:
        for name in _split(names):
            if matrix.find_benchmark(name) is None and ("/" in name or dataset_names.resolve_dataset(name) != name):
                raise UsageError(
                    f"{name} is no benchmark",
                    expected="a benchmark: vldock benchmarks names them",
                    hint=f"a data set of the Hub: vldock fetch datasets {name} --cache FOLDER",
                ) from error
        raise
    return tuple(item for name in chosen for item in locked if item.name == name)


def choose_repos(names: Sequence[str], lock: WeightsLock, *, revision: str | None = None) -> tuple[LockedRepo, ...]:
    """Return the repositories of models, towers and tokenizers included, and those named themselves.

    Without a name: the matrix's two models; 'all': the seven. A repository that is named is taken whole, declared in
    the lock or not; `revision` is a branch, tag or commit of the one name. Raises UsageError for an unknown name.
    """
    requested = _split(names)
    if revision and len(requested) != 1:
        raise UsageError(
            f"--revision {revision} with {len(requested)} names", expected="one name: a revision is of one repository"
        )
    found: dict[str, LockedRepo] = {}
    for name in requested or [model.name for model in matrix.matrix_models()]:
        for repo in _repos_of(name, lock, revision):
            if repo.repo not in found or found[repo.repo].only is not None:
                found[repo.repo] = repo
    return tuple(found.values())


def choose_datasets(names: Sequence[str], *, revision: str | None = None) -> tuple[LockedRepo, ...]:
    """Return the repositories of data sets, each by its own name or an alias.

    Raises UsageError for no name, for a benchmark's, and for what can be no name.
    """
    requested = _split(names)
    if not requested or (revision and len(requested) > 1):
        raise UsageError(
            f"{len(requested)} data sets are named" + (f" with --revision {revision}" if revision else ""),
            expected="one, as on the Hub: vldock fetch datasets ORG/NAME --cache FOLDER",
        )
    for name in requested:
        if matrix.find_benchmark(name):
            raise UsageError(
                f"{name} is a benchmark, and no data set of the Hub",
                expected="ORG/NAME of a data set",
                hint=f"vldock fetch data {name} --data FOLDER",
            )
        if not DATASET.fullmatch(name.removeprefix(DATASETS)):
            raise UsageError(f"{name!r} can be no data set", expected="ORG/NAME, as on the Hub")
    repos = dict.fromkeys(dataset_names.resolve_dataset(name.removeprefix(DATASETS)) for name in requested)
    return tuple(_at(LockedRepo(f"{DATASETS}{repo}"), revision) for repo in repos)


def _repos_of(name: str, lock: WeightsLock, revision: str | None) -> list[LockedRepo]:
    declared = {locked.repo.casefold(): locked for locked in lock.repositories}
    locked = declared.get(name.casefold())
    if locked is None and REPOSITORY.fullmatch(name):
        locked = LockedRepo(name)
    if locked is not None:
        return [_at(_whole(locked), revision)]
    models = _models_of(name, declared)
    if isinstance(models, LockedRepo):
        return [_at(_whole(models), revision)]
    if not revision:
        return [lock.find(repo) for model in models for repo in (model.repo, *model.needs)]
    (model,) = models
    return [_at(lock.find(model.repo), revision), *(lock.find(repo) for repo in model.needs)]


def _models_of(name: str, declared: dict[str, LockedRepo]) -> list[matrix.Model] | LockedRepo:
    """Return the models of a name, or the declared repository whose last part it is."""
    try:
        chosen = run_plan.choose_models(name, standin=False)
    except UsageError as error:
        parts = {repo.partition("/")[2]: locked for repo, locked in declared.items()}
        if locked := parts.get(name.casefold()):
            model = next((model for model in matrix.MODELS if model.repo == locked.repo), None)
            return [model] if model else locked
        raise _unknown(name, declared) from error
    return [model for one in chosen if (model := matrix.find_model(one))]


def _unknown(name: str, declared: dict[str, LockedRepo]) -> UsageError:
    models = [model.name for model in matrix.MODELS]
    bases = [locked.repo for locked in declared.values()]
    if matrix.find_benchmark(name):
        hint = f"a benchmark: vldock fetch data {name} --data FOLDER"
    elif dataset_names.resolve_dataset(name) != name:
        hint = f"a data set: vldock fetch datasets {name} --cache FOLDER"
    else:
        near = {one.rpartition("/")[2].casefold(): one for one in (*bases, *models)}
        close = [near[one] for one in get_close_matches(name.casefold(), near, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"another repository: {ANY}"
    return UsageError(f"unknown model: {name}", expected=f"{', '.join(models)}, or {ANY}", hint=hint)


def _whole(locked: LockedRepo) -> LockedRepo:
    """Return all of a repository of which a model needs a part."""
    return locked if locked.only is None else replace(locked, only=None, files=None)


def _at(locked: LockedRepo, revision: str | None) -> LockedRepo:
    """Return a repository at a branch, tag or commit; as declared without one."""
    if revision is None or revision == locked.revision:
        return locked
    commit = revision if COMMIT.fullmatch(revision) else None
    return replace(locked, revision=commit, files=None, reference=revision)


def _split(names: Sequence[str]) -> list[str]:
    return [name.strip() for text in names for name in text.split(",") if name.strip()]
