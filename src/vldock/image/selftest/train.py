"""Three steps of LoRA and QLoRA with their exports, and one rank of torchrun over NCCL (two over gloo on a CPU)."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

from vldock.common.errors import EvaluationFailed
from vldock.common.matrix import find_model
from vldock.image.selftest import samples, use
from vldock.image.selftest.bench import IMAGE, TORCHRUN, Bench, NeedsGpu, StepResult

STEPS = 3
PICTURES = "CCOCR_MultiLanOcr_Korean"  # ten pictures, none twice


def lora(bench: Bench) -> StepResult:
    """Train LoRA for three steps, export, and ask the export a question."""
    return _trained(bench, "lora")


def qlora(bench: Bench) -> StepResult:
    """Train 4-bit QLoRA for three steps, export, and ask the export a question; raises NeedsGpu on a CPU."""
    if not bench.gpu:
        raise NeedsGpu("bitsandbytes computes 4-bit weights on a GPU only")
    return _trained(bench, "qlora")


def _trained(bench: Bench, method: str) -> StepResult:
    out = bench.folder / f"llava-{method}"
    bench.run(f"train-{method}", [*IMAGE, "train", *_words(bench, method, out)])
    losses = _losses(out)
    exported = out.with_name(f"{out.name}-merged")
    bench.run(f"export-{method}", [*IMAGE, "train", "export", str(out), "--out", str(exported)])
    questions = samples.write_questions(samples.rows_of("POPE")[:1], bench.folder / f"ask-{method}")
    said = use.ask(bench, f"predict-{method}", str(exported), questions, questions.with_name("answers.jsonl"))
    line = f"{STEPS} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; exported, and it answers"
    return StepResult(line, {"steps": len(losses), "losses": losses, "answer": next(iter(said.values()))})


def _words(bench: Bench, method: str, out: Path) -> list[str]:
    """Return the words of `train`; the samples are written the first time."""
    folder = bench.folder / f"data-{out.name}"
    training, heldout = samples.write_conversations(PICTURES, folder, training=8, heldout=1 if bench.quick else 2)
    known = find_model(use.MODEL)
    assert known is not None
    rows, short = (1, ["train.proof=weights", "--no-check"]) if bench.quick else (2, [])
    return [
        f"out={out}", "data.source=json", f"data.path={training}", f"data.heldout_path={heldout}",
        f"model.base={known.repo}", f"model.method={method}", "model.lora_r=4", "model.lora_alpha=8",
        f"train.max_steps={STEPS}", f"train.batch_size={rows}", "train.accumulation=1", "train.learning_rate=1e-4",
        "train.log_every=1", f"train.save_every={STEPS}", "train.answer_tokens=4", *short,
    ]  # fmt: skip


def _losses(out: Path) -> list[float]:
    """Return the loss of each step in a run's log; raises EvaluationFailed unless there are three numbers."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [float(line["loss"]) for line in lines if line["event"] == "step"]
    if len(losses) != STEPS or any(loss != loss or loss in (float("inf"), 0.0) for loss in losses):
        raise EvaluationFailed(f"{out.name}: the losses are {losses}", expected=f"{STEPS} finite numbers above 0")
    return losses


def torchrun(bench: Bench) -> StepResult:
    """Run torchrun's ranks: add numbers, then train; on a GPU one rank over NCCL, on a CPU two over gloo."""
    ranks, backend = (1, "nccl") if bench.gpu else (2, "gloo")
    done = _launched(bench, "ranks", ranks, ["-m", "vldock.image.selftest.ranks", "--backend", backend])
    told = json.loads(done.splitlines()[-1])
    if told != {"backend": backend, "ranks": ranks, "sum": float(sum(range(1, ranks + 1)))}:
        raise EvaluationFailed(f"the ranks said {told}", expected=f"{ranks} over {backend}, the sum of their numbers")
    out = bench.folder / "llava-ranks"
    _launched(bench, "train-ranks", ranks, ["-m", "vldock.image", "train", *_words(bench, "lora", out)])
    losses = _losses(out)
    line = f"{ranks} {'rank' if ranks == 1 else 'ranks'} over {backend}, {len(losses)} steps of LoRA"
    return StepResult(line, {"ranks": ranks, "backend": backend, "losses": losses})


def _launched(bench: Bench, log: str, ranks: int, words: Sequence[str]) -> str:
    """Run a module under torchrun on this machine alone and return what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [TORCHRUN, "--nnodes=1", "--master_addr=127.0.0.1", f"--master_port={port}", f"--nproc_per_node={ranks}"]
    more = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return bench.run(log, [*argv, *words], more=more).out
