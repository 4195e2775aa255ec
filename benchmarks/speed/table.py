"""RESULTS.md, rendered from results.json (stand-ins), honest.json (real widths) and gpu.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lines import PHASES

Json = dict[str, Any]
TITLES = {
    "a": "`docker run` a cell",
    "b": "`docker exec` a cell, plain container",
    "c": "one run.py",
    "d": "`docker exec` a cell, session's worker",
    "d2": "`vldock matrix`",
    "e1": "one run.py, batched",
    "e2": "`vldock matrix`, batched",
    "e3": "`docker exec` a cell, worker, batched",
}
HONEST, GPU = "## Real widths on a CPU", "## Real dimensions on a GPU"
BARS = (  # (what is compared, with what, at least so many times as fast)
    ("d2", "a+eager", 12.0),
    ("d2", "a", 12.0),
    ("e2", "a+eager", 12.0),
    ("e2", "a", 12.0),
    ("d", "b+eager", 8.0),
    ("d", "b", 8.0),
    ("e3", "b+eager", 8.0),
    ("e3", "b", 8.0),
)


@dataclass(frozen=True)
class Results:
    """One campaign: its setting, and each mode's figures."""

    facts: Json
    modes: list[Json]


def title(mode: str) -> str:
    """Return a mode's readable name."""
    name, _, eager = mode.partition("+")
    return TITLES[name] + (", imports as VLMEvalKit does" if eager else "")


def write(folder: Path) -> None:
    """Write RESULTS.md."""
    (folder / "RESULTS.md").write_text(text(folder), encoding="utf-8")


def text(folder: Path) -> str:
    """Return the whole page."""
    parts = [standins(json.loads((folder / "results.json").read_text(encoding="utf-8")))]
    for name, heading, section, absent in (
        ("honest.json", HONEST, honest, "not measured yet (`make bench-honest`)."),
        ("gpu.json", GPU, gpu, "not measured on a GPU (`python benchmarks/speed/gpu.py` there)."),
    ):
        path = folder / name
        results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        parts.append(section(results) if results else [heading, "", absent, ""])
    return "\n".join(line for part in parts for line in part)


def rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [" | ".join(head), " | ".join(["---"] + ["---:"] * (len(head) - 1)), *(" | ".join(row) for row in body)]
    return [f"| {line} |" for line in lines] + [""]


def where(facts: Json) -> str:
    """Return the sentence about the machine."""
    return (
        f"{facts['begun'][:10]}, {facts['minutes']:.0f} min, {facts['cores']} cores of {facts['processor']}, "
        f"{facts['memory_gb']} GB, load average {facts['load_before'][0]} before and {facts['load_after'][0]} after, "
        f"Docker {facts['engine']}, torch {facts['torch']}, transformers {facts['transformers']}"
        + (f", {facts['threads']} computing thread a process." if facts.get("threads") else ".")
    )


def standins(results: Json) -> list[str]:
    """Return the section on the stand-ins."""
    facts, modes = results["facts"], {one["mode"]: one for one in results["modes"]}
    cells = len(facts["models"]) * len(facts["benchmarks"])
    lines = ["# Speed", "", "Made by `make bench`; the modes are described in modes.py, the phases in", ""]
    lines[2] += " src/vldock/image/timing/phases.py."
    lines += [f"## {cells} cells on the stand-ins, {facts['samples']} samples each", "", where(facts), ""]
    head = ["mode", "seconds", "with start", "a cell (median)", "first answer (median)", "slowest first"]
    head += ["samples/s", "CPU s", "peak GB"]
    lines += rows(head, [_row(one) for one in modes.values()])
    lines += [*rows(["compared", "times as fast", "with start", "bar"], list(_ratios(modes))), *_split(modes)]
    return lines


def _row(one: Json) -> list[str]:
    total = one["seconds"] + one["ready"]
    firsts = one["firsts"]
    return [
        *(f"{one['mode']}: {title(one['mode'])}", f"{one['seconds']:.1f}", f"{total:.1f}"),
        f"{median(one['cells']):.2f}" if len(one["cells"]) > 1 else "",
        *((f"{median(firsts):.2f}", f"{max(firsts):.2f}") if firsts else ("", "")),
        *(f"{one['answers'] / total:.2f}", f"{one['cpu_seconds']:.0f}"),
        f"{one['memory_peak'] / 1e9:.2f}" if one["memory_peak"] else "",
    ]


def _ratios(modes: dict[str, Json]) -> Iterator[list[str]]:
    pairs = [*BARS, *((mode, "c", None) for mode in ("e1", "d2", "e2", "d"))]
    pairs += [(name, f"{name}+eager", None) for name in ("a", "b", "c")]
    for fast, slow, bar in pairs:
        if fast not in modes or slow not in modes:
            continue
        mine, theirs = modes[fast], modes[slow]
        ratio = theirs["seconds"] / mine["seconds"]
        whole = (theirs["seconds"] + theirs["ready"]) / (mine["seconds"] + mine["ready"])
        verdict = "" if bar is None else f"{bar:.0f}: {'reached' if ratio >= bar else 'MISSED'}"
        yield [f"{title(fast)} / {title(slow)}", f"{ratio:.2f}", f"{whole:.2f}", verdict]


def _split(modes: dict[str, Json]) -> list[str]:
    lines = ["Seconds by phase; `rest` is what no process was timed for (docker, ends of processes, idle):", ""]
    body = []
    for one in modes.values():
        known = [one["phases"].get(name, 0.0) for name in PHASES]
        rest = one["seconds"] + one["ready"] - sum(known)
        body.append([title(one["mode"]), *(f"{value:.1f}" for value in (*known, rest))])
    lines += rows(["mode", *PHASES, "rest"], body)
    body = [
        [title(one["mode"]), *(f"{one['phases_cpu'].get(name, 0.0):.1f}" for name in PHASES)] for one in modes.values()
    ]
    return [*lines, "The same in processor seconds:", "", *rows(["mode", *PHASES], body)]


def honest(results: Json) -> list[str]:
    """Return the section on real widths on a CPU."""
    lines = [HONEST, "", results["model"], "", where(results["facts"]), ""]
    head = ["benchmark", "engine", "samples", "seconds of answering", "samples/s", "times as fast", *PHASES[3:8]]
    body = []
    for one in results["runs"]:
        phases = [f"{one['phases'].get(name, 0.0):.1f}" for name in PHASES[3:8]]
        speed = f"{one['samples'] / one['answering']:.3f}"
        ratio = f"{one['ratio']:.2f}" if one.get("ratio") else ""
        figures = (str(one["samples"]), f"{one['answering']:.1f}", speed, ratio)
        body.append([one["benchmark"], one["engine"], *figures, *phases])
    stock = 0.0
    for engine in ("stock", "batched"):
        runs = [one for one in results["runs"] if one["engine"] == engine]
        samples, seconds = (sum(one[name] for one in runs) for name in ("samples", "answering"))
        ratio = f"{stock / seconds:.2f}" if stock else ""
        figures = (str(samples), f"{seconds:.1f}", f"{samples / seconds:.3f}", ratio)
        body.append(["all", engine, *figures, *[""] * len(PHASES[3:8])])
        stock = seconds
    return [*lines, *rows(head, body), f"`vldock equal` of both: {results['equal']}", "", *results.get("notes", []), ""]


def gpu(results: Json) -> list[str]:
    """Return the section on real dimensions on a GPU."""
    lines = [GPU, "", results["what"], ""]
    lines += rows(["ceiling", "measured"], [[name, value] for name, value in results["ceilings"].items()])
    head = ["attention", "rows", "prefill s", "TFLOP/s", "of ceiling", "decode ms a token", "GB/s", "of ceiling"]
    body = [
        [one["attention"], str(one["rows"]), *(one["note"] and ["", "", one["note"], "", "", ""])]
        if one.get("note")
        else [
            *(one["attention"], str(one["rows"]), f"{one['prefill_seconds']:.3f}", f"{one['prefill_tflops']:.1f}"),
            *(f"{one['mfu']:.0%}", f"{one['decode_seconds'] * 1e3:.2f}", f"{one['decode_gbps']:.0f}"),
            f"{one['bandwidth_used']:.0%}",
        ]
        for one in results["steps"]
    ]
    return [*lines, *rows(head, body)]
