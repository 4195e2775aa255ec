"""The table of models in docs/use/models.md, generated from common/matrix.py."""

from __future__ import annotations

from vldock.common.matrix import MODELS, Model

OPEN = "<!-- generated from src/vldock/common/matrix.py by `make generate` -->"
CLOSE = "<!-- end generated -->"
HEADINGS = ("model", "repositories", "code", "attention", "weights", "on a GPU", "on a CPU", "tried with")


def markdown_table() -> str:
    """Return the table, one row a model, sizes in GB."""
    lines = ["", f"| {' | '.join(HEADINGS)} |", "|---|---|---|---|---:|---:|---:|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(model))} |" for model in MODELS), ""])


def _cells(model: Model) -> tuple[str, ...]:
    return (
        model.name,
        ", ".join((model.repo, *model.needs)),
        "remote" if model.remote_code else "LLaVA's",
        model.attentions,
        f"{model.gigabytes:.1f}",
        f"{model.gpu_memory:.0f}",
        f"{model.cpu_memory:.0f}",
        "; ".join(model.tried),
    )
