"""Fine-tuning from configuration to run folder: load, prove, train, resume, score.

run/config.yaml   the resolved configuration      run/checkpoint-N/, best, last   in LLaVA's formats
run/run.json      its inputs, its outcome         run/log.jsonl                   every event
run/heldout/      the held-out multiple choice as a TSV for run.py
run/tensorboard/  the curves of log.jsonl for TensorBoard
run/answers.jsonl the held-out answers at the end  run/page.html, run/plots/        for readers
run/mm_projector.bin  of model.method=projector: for LLaVA's --pretrain_mm_mlp_adapter
run/error.log     the tracebacks of failures
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from vldock.common.filesystem.atomic import write_json, write_text
from vldock.image.training import run_folder
from vldock.image.training.checks import first_checkpoint
from vldock.image.training.config import Config
from vldock.image.training.data import benchmark_tsv
from vldock.image.training.data.sample_order import count_steps
from vldock.image.training.dataset import Dataset
from vldock.image.training.error_log import record_failure
from vldock.image.training.loop import hf_arguments, monitor, run_page, tensorboard, trainer
from vldock.image.training.loop.rows_at_once import RowsAtOnce
from vldock.image.training.loop.workers import explain_deaths
from vldock.image.training.model import base, cached_tower, checkpoint
from vldock.image.training.model import load as model_load

ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class Result:
    """Outcome of a run: updates made and metrics on held-out records.

    The metrics are those of the weights that were scored last; `resumed_from` is the step of the checkpoint.
    """

    folder: Path
    steps: int
    metrics: dict[str, float]
    resumed_from: int | None


def fit(config: Config, data: Dataset, *, log: Callable[[str], None] | None = None) -> Result:
    """Train, or resume from the newest checkpoint of the run's folder.

    A batch that does not fit the GPU's memory is halved (rows at once, not rows per update) and the run resumes from
    its newest checkpoint; later it grows again. Raises UsageError, EnvironmentUnfit, InputRefused, trainer.Diverged.
    """
    folder, rank = Path(config.out), int(os.environ.get("RANK", "0"))
    log = log or (lambda text: print(text, file=sys.stderr, flush=True))
    device = model_load.device_of()
    base.require_possible(config, device)
    with ExitStack() as held:
        if rank == 0:
            held.enter_context(run_folder.lock(folder))
            swept = checkpoint.sweep(folder)
            for path in swept:
                log(f"{path.name}: a killed process left it half written; removed")
        start = run_folder.claim(folder, config, _facts(config, data, device), _counts(data)) if rank == 0 else None
        held.enter_context(record_failure(folder, log=log))
        rows = RowsAtOnce(config.train.batch_size)
        while True:
            try:
                with torch.enable_grad(), explain_deaths():  # importing VLMEvalKit turns gradients off for the process
                    return _run(config, data, device=device, rows=rows, start=start, log=log)
            except torch.cuda.OutOfMemoryError as error:
                rows.halve(error)
            gc.collect()  # not before the error is gone, which holds the model, its optimizer and the batch
            torch.cuda.empty_cache()
            log(f"out of GPU memory: from now on {rows.now} of {config.train.batch_size} rows of a batch at once")
            start = run_folder.newest_checkpoint(folder)


def _run(
    config: Config, data: Dataset, *, device: str, rows: RowsAtOnce, start: Path | None, log: Callable[[str], None]
) -> Result:
    folder, world = Path(config.out), int(os.environ.get("WORLD_SIZE", "1"))
    rank, counts = int(os.environ.get("RANK", "0")), _counts(data)
    set_seed(config.train.seed)
    loaded = model_load.load(config, device=device)
    if rank == 0:  # not before: an absent base was just downloaded
        run_folder.require_base(folder, base.base_digest(config), resumed=start is not None)
    update = config.train.batch_size * config.train.accumulation * world
    steps = count_steps(len(data.training), epochs=config.train.epochs, batch=update, max_steps=config.train.max_steps)
    arguments = hf_arguments.arguments_of(config, steps=steps, precision=loaded.precision, device=device)
    if world > 1:  # every process reads what the first one claimed
        torch.distributed.barrier()
        start = run_folder.newest_checkpoint(folder)
    step = int(start.name.rpartition("-")[2]) if start else 0
    emit = monitor.Log(folder / monitor.LOG, log=log, active=rank == 0)
    emit.truncate_after(step)
    emit("start", step=step, device=device, precision=loaded.precision, steps=steps, rows_per_update=update,
         rows_at_once=rows.now, trained=sum(p.numel() for _, p in model_load.trainable_parameters(loaded.model)),
         parameters=sum(p.numel() for p in loaded.inner.parameters()), training=len(data.training),
         heldout=len(data.heldout), **counts)  # fmt: skip

    def prove() -> None:
        if rank == 0:
            emit("proof", step=1, proven=first_checkpoint.prove(loaded, config, data.training[0], folder / ".proof"))

    with ExitStack() as held:
        if rank == 0:
            curves = held.enter_context(closing(tensorboard.Scalars(folder / tensorboard.FOLDER, after=step)))
            emit.listeners.append(curves)
        cached = held.enter_context(cached_tower.open_cached_tower(loaded, config, emit=emit))
        tuner = trainer.FineTuner(
            loaded, config, arguments, training=data.training, heldout=data.heldout, rows=rows, emit=emit,
            cached=cached,
        )  # fmt: skip
        tuner.add_callback(monitor.RunCallback(tuner, patience=config.train.patience, prove=prove, emit=emit))
        tuner.remove_callback(_printer())
        tuner.train(resume_from_checkpoint=str(start) if start else None)
        return _finish(tuner, data, folder, emit=emit, rank=rank, resumed=step or None)


def _finish(
    tuner: trainer.FineTuner, data: Dataset, folder: Path, *, emit: monitor.Log, rank: int, resumed: int | None
) -> Result:
    """Score all held-out records with the best weights and write the results."""
    best = folder / "best"
    if tuner.args.world_size > 1:
        torch.distributed.barrier()
    if best.is_dir():
        checkpoint.load(tuner.model, best, tuner.config)
    metrics = tuner.score(data.heldout)
    tuner.flush_features()
    steps = tuner.state.global_step
    emit("end", step=steps, weights=best.resolve().name if best.is_dir() else "last", **metrics)
    if rank == 0:
        lines = trainer.as_lines(tuner.scored)
        write_text(folder / ANSWERS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        before = json.loads((folder / run_folder.RUN).read_text(encoding="utf-8"))
        write_json(folder / run_folder.RUN, {**before, "ended": {"steps": steps, **metrics}})
        checkpoint.publish_projector(tuner.model, folder, tuner.config)
        benchmark_tsv.write(data.heldout, folder / "heldout")
        run_page.write(folder)
    return Result(folder, steps, metrics, resumed)


def _facts(config: Config, data: Dataset, device: str) -> dict[str, Any]:
    """Return the facts a resumed run must share, beside its base."""
    return {
        "data": run_folder.digest_of([*data.training, *data.heldout]),
        "device": device.partition(":")[0],
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _counts(data: Dataset) -> dict[str, dict[str, int]]:
    """Return the counts of accepted flaws, for the log.

    Empty where there is none.
    """
    return {"accepted": dict(data.accepted)} if data.accepted else {}


def _printer() -> type:
    from transformers.trainer_callback import PrinterCallback

    kind: type = PrinterCallback
    return kind
