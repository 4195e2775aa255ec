"""Training steps: LoRA and QLoRA with exports; torchrun over NCCL or gloo."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

from vldock.common.errors import EvaluationFailed
from vldock.common.matrix import find_model
from vldock.image.selftest import inference, samples
from vldock.image.selftest.context import IMAGE, TORCHRUN, NeedsGpu, StepContext, StepResult

STEPS = 3
PICTURES = "CCOCR_MultiLanOcr_Korean"  # ten distinct images


def lora(context: StepContext) -> StepResult:
    """Train LoRA for three steps, export, and predict with the export."""
    return _trained(context, "lora")


def qlora(context: StepContext) -> StepResult:
    """Train 4-bit QLoRA for three steps, export, and predict.

    The export answers the prediction. Raises NeedsGpu on a CPU.
    """
    if not context.gpu:
        raise NeedsGpu("bitsandbytes computes 4-bit weights on a GPU only")
    return _trained(context, "qlora")


def _trained(context: StepContext, method: str) -> StepResult:
    out = context.folder / f"llava-{method}"
    context.run(f"train-{method}", [*IMAGE, "train", *_words(context, method, out)])
    losses = _losses(out)
    exported = out.with_name(f"{out.name}-merged")
    context.run(f"export-{method}", [*IMAGE, "train", "export", str(out), "--out", str(exported)])
    questions = samples.write_questions(samples.rows_of("POPE")[:1], context.folder / f"ask-{method}")
    said = inference.ask(context, f"predict-{method}", str(exported), questions, questions.with_name("answers.jsonl"))
    line = f"{STEPS} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}; exported, and it answers"
    return StepResult(line, {"steps": len(losses), "losses": losses, "answer": next(iter(said.values()))})


def _words(context: StepContext, method: str, out: Path) -> list[str]:
    """Write the samples and return the arguments of `train`."""
    folder = context.folder / f"data-{out.name}"
    training, heldout = samples.write_conversations(PICTURES, folder, training=8, heldout=1 if context.quick else 2)
    known = find_model(inference.MODEL)
    assert known is not None
    rows, short = (1, ["train.proof=weights", "--no-check"]) if context.quick else (2, [])
    return [
        f"out={out}", "data.source=json", f"data.path={training}", f"data.heldout_path={heldout}",
        f"model.base={known.repo}", f"model.method={method}", "model.lora_r=4", "model.lora_alpha=8",
        f"train.max_steps={STEPS}", f"train.batch_size={rows}", "train.accumulation=1", "train.learning_rate=1e-4",
        "train.log_every=1", f"train.save_every={STEPS}", "train.answer_tokens=4", *short,
    ]  # fmt: skip


def _losses(out: Path) -> list[float]:
    """Return the loss of each step in a run's log.

    Raises EvaluationFailed unless there are three numbers.
    """
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [float(line["loss"]) for line in lines if line["event"] == "step"]
    if len(losses) != STEPS or any(loss != loss or loss in (float("inf"), 0.0) for loss in losses):
        raise EvaluationFailed(f"{out.name}: the losses are {losses}", expected=f"{STEPS} finite numbers above 0")
    return losses


def torchrun(context: StepContext) -> StepResult:
    """Run torchrun: sum numbers, then train.

    On a GPU one rank over NCCL, on a CPU two over gloo.
    """
    ranks, backend = (1, "nccl") if context.gpu else (2, "gloo")
    done = _launched(context, "ranks", ranks, ["-m", "vldock.image.selftest.ranks", "--backend", backend])
    found = json.loads(done.splitlines()[-1])
    if found != {"backend": backend, "ranks": ranks, "sum": float(sum(range(1, ranks + 1)))}:
        raise EvaluationFailed(f"the ranks said {found}", expected=f"{ranks} over {backend}, the sum of their numbers")
    out = context.folder / "llava-ranks"
    _launched(context, "train-ranks", ranks, ["-m", "vldock.image", "train", *_words(context, "lora", out)])
    losses = _losses(out)
    line = f"{ranks} {'rank' if ranks == 1 else 'ranks'} over {backend}, {len(losses)} steps of LoRA"
    return StepResult(line, {"ranks": ranks, "backend": backend, "losses": losses})


def _launched(context: StepContext, log: str, ranks: int, words: Sequence[str]) -> str:
    """Run a module under torchrun and return its standard output.

    torchrun uses this machine alone.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [TORCHRUN, "--nnodes=1", "--master_addr=127.0.0.1", f"--master_port={port}", f"--nproc_per_node={ranks}"]
    more = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return context.run(log, [*argv, *words], more=more).out
