"""Plan of a matrix run: written to disk before the first container starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from vldock.common import inference_options, matrix, standin_choice
from vldock.common.cell_record import Cell
from vldock.common.errors import UsageError
from vldock.common.names import spellings
from vldock.common.prompt_style import UPSTREAM


@dataclass(frozen=True)
class RunPlan:
    """Models, benchmarks and settings of a run.

    First all that decides a score, then what does not (`INCIDENTAL`).

    `samples` None means all. `gpus` is 'none', 'all' or device numbers; folders are absolute paths.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    samples: int | None
    standin: bool
    image: str
    image_id: str
    gpus: str
    data: str | None
    cache: str | None
    env_file: str | None = None
    network: str | None = None
    user: str | None = None
    timeout: float | None = None
    prompt: str = UPSTREAM
    read_only_inputs: bool = False
    engine: str = inference_options.STOCK
    batch_size: inference_options.BatchSize | None = None
    feature_cache: bool = False

    @property
    def cells(self) -> list[tuple[str, str]]:
        """The (model, benchmark) pairs, one model after the other."""
        return matrix.cells(self.models, self.benchmarks)

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for run.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> RunPlan:
        """Return the plan written by `as_json`.

        Raises KeyError or TypeError for anything else.
        """
        values = {item.name: raw[item.name] for item in fields(cls) if item.name in raw or item.default is MISSING}
        return cls(**{**values, "models": tuple(raw["models"]), "benchmarks": tuple(raw["benchmarks"])})

    def differences(self, other: RunPlan) -> list[str]:
        """Return 'name: mine, theirs' for each value that decides a score and differs."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {mine[name]!r}, not {theirs[name]!r}" for name in DECISIVE if mine[name] != theirs[name]]


INCIDENTAL = ("image", "env_file", "network", "user", "timeout", "read_only_inputs", "feature_cache")
DECISIVE = tuple(item.name for item in fields(RunPlan) if item.name not in INCIDENTAL)


def choose_models(text: str | None, *, standin: bool) -> tuple[str, ...]:
    """Return the models of 'all' (7), of a comma list, or the matrix's two.

    Raises UsageError for an undeclared name, and for a model without a stand-in where one is requested.
    """
    known = [model.name for model in matrix.MODELS]
    chosen = known if text == "all" else spellings.resolve_all(_split(text), spellings.resolve_model)
    chosen = chosen or [model.name for model in matrix.matrix_models()]
    _refuse_unknown("model", chosen, known)
    if standin:
        standin_choice.require(chosen)
    return tuple(chosen)


def choose_benchmarks(text: str) -> tuple[str, ...]:
    """Return the benchmarks of 'all' (20), 'all24' or a comma list.

    Raises UsageError for an unknown name.
    """
    if text in ("all", "all24"):
        return tuple(item.name for item in matrix.matrix_benchmarks(extra=text == "all24"))
    chosen = spellings.resolve_all(_split(text), spellings.resolve_benchmark)
    _refuse_unknown("benchmark", chosen, [item.name for item in matrix.BENCHMARKS])
    return tuple(chosen)


def _split(text: str | None) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))


def _refuse_unknown(kind: str, chosen: Iterable[str], known: Sequence[str]) -> None:
    for name in chosen:
        if name not in known:
            close = spellings.suggest(name, known, declared=known)
            raise UsageError(
                f"unknown {kind}: {name}",
                expected=", ".join(known),
                hint=f"did you mean {' or '.join(close)}?" if close else None,
            )


def why_not_success(cell: Cell, plan: RunPlan) -> str | None:
    """Return the reason a cell is no success, or None.

    A success is a record of this plan with all predictions and a score.
    """
    if cell.status != "succeeded":
        return cell.error or "failed without a word"
    if cell.standin != plan.standin:
        return "made by a STAND-IN" if cell.standin else "not made by the stand-in that was asked for"
    if cell.limit != plan.samples:
        return f"made with a limit of {cell.limit}, not {plan.samples}"
    if cell.samples < 1 or cell.predictions != cell.samples:
        return f"{cell.predictions} of {cell.samples} samples have a prediction"
    return None if cell.score is not None else "there is no score"


Key = tuple[str, str]  # model, benchmark
