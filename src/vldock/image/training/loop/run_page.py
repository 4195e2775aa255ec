"""Run page: one HTML file with plots, accuracies, wrong answers and configuration.

The plots are PNG files too.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vldock.common.filesystem.atomic import write_text
from vldock.image.training.loop import monitor
from vldock.image.training.model.export import CONFIG

PLOTS = "plots"
PAGE = "page.html"
# file -> (title, event, field, logarithmic)
CURVES = {
    "loss": ("training loss", "step", "loss", True),
    "heldout_loss": ("held-out loss", "heldout", "eval_loss", True),
    "accuracy": ("held-out accuracy", "heldout", "eval_accuracy", False),
    "gradient_norm": ("gradient norm before clipping", "step", "gradient_norm", True),
    "learning_rate": ("learning rate", "step", "learning_rate", False),
    "memory": ("memory, GB", "step", "memory_gb", False),
    "speed": ("positions per second", "step", "tokens_per_second", False),
}
EVENTS = ("start", "proof", "batch", "early_stop", "end")
STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#222}
img{width:100%;max-width:31rem}table{border-collapse:collapse}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;
text-align:left;vertical-align:top}.no{color:#a00}pre{background:#f4f4f4;padding:1rem;overflow:auto}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#252525}td,th{border-color:#444}}"""


def write(run: Path) -> Path:
    """Write the page of a run and return its path.

    The plots are drawn from the run's log.
    """
    lines = monitor.read(run / monitor.LOG)
    plots = draw(lines, run / PLOTS)
    answers = monitor.read(run / "answers.jsonl")
    text = render(run.name, lines, plots, answers, (run / CONFIG).read_text(encoding="utf-8"))
    return write_text(run / PAGE, text)


def draw(lines: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write one PNG for each nonempty curve; return their paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(exist_ok=True)
    made = []
    for name, (title, event, field, logarithmic) in CURVES.items():
        points = [(line["step"], line[field]) for line in lines if line.get("event") == event and field in line]
        if not points:
            continue
        figure = Figure(figsize=(6, 3.2), dpi=110, layout="tight")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 30 else None, markersize=3)
        axes.set(title=title, xlabel="step")
        if logarithmic and min(value for _, value in points) > 0:
            axes.set_yscale("log")
        if name == "accuracy":
            axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.3)
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
        made.append(folder / f"{name}.png")
    return made


def render(
    name: str,
    lines: Sequence[Mapping[str, Any]],
    plots: Sequence[Path],
    answers: Sequence[Mapping[str, Any]],
    config: str,
) -> str:
    """Return the page as HTML.

    How the run ended, the plots, accuracy by flower, wrong answers, the configuration.
    """
    end = next((line for line in reversed(lines) if line.get("event") == "end"), None)
    head = (
        f"held-out accuracy {end['accuracy']:.1%} of {end['asked']:.0f} after {end['step']} steps ({end['weights']})"
        if end
        else "not ended yet"
    )
    images = "".join(
        f'<img alt="{path.stem}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
        for path in plots
    )
    told = [line for line in lines if line.get("event") in EVENTS or "trouble" in line]
    events = "".join(f"<li>{html.escape(json.dumps(line, ensure_ascii=False))}</li>" for line in told)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(name)}</title><style>{STYLE}</style><h1>{html.escape(name)}</h1><p>{head}</p>{_data(lines)}{_features(lines)}"
        f"{_warnings(lines)}{images}{_groups(answers)}{_wrong(answers)}<h2>Events</h2><ul>{events}</ul>"
        f"<h2>Configuration</h2><pre>{html.escape(config)}</pre></html>\n"
    )


def _data(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the counts of accepted flaws; empty where there is none."""
    accepted = next((line.get("accepted") for line in reversed(lines) if line.get("event") == "start"), None)
    said = ", ".join(f"{count} {kind}" for kind, count in (accepted or {}).items())
    return f"<p>accepted in the data: {said}</p>" if said else ""


def _warnings(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the warnings of the run as a list; empty where there is none."""
    said = "".join(f"<li>{html.escape(line['message'])}" for line in lines if line.get("event") == "warning")
    return f"<h2>Warnings</h2><ul>{said}</ul>" if said else ""


def _features(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the feature cache's totals since the last start.

    Empty without a cache.
    """
    said = [line for line in lines if line.get("event") == "features" and "read" in line]
    if not said:
        return ""
    names = ("read", "computed", "stored", "damaged")
    return f"<p>features of pictures: {', '.join(f'{said[-1][name]} {name}' for name in names)}</p>"


def _groups(answers: Sequence[Mapping[str, Any]]) -> str:
    groups: dict[str, list[bool]] = {}
    for answer in answers:
        groups.setdefault(str(answer["group"]), []).append(bool(answer["right"]))
    rows = "".join(
        f"<tr><td>{html.escape(name or '-')}<td>{sum(right)} of {len(right)}" for name, right in sorted(groups.items())
    )
    return f"<h2>Right answers</h2><table>{rows}</table>" if rows else ""


def _wrong(answers: Sequence[Mapping[str, Any]], most: int = 40) -> str:
    wrong = [answer for answer in answers if not answer["right"]]
    rows = "".join(
        f"<tr><td>{html.escape(answer['id'])}<td>{html.escape(answer['question'])}<td>{html.escape(answer['wanted'])}"
        f'<td class="no">{html.escape(answer["given"])}'
        for answer in wrong[:most]
    )
    head = "<tr><th>id<th>question<th>wanted<th>given"
    return f"<h2>Wrong answers ({len(wrong)})</h2><table>{head}{rows}</table>" if wrong else ""
