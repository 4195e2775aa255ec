"""Monitoring of a run: speed, memory, JSON log, early stop."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from vldock.common.filesystem.atomic import write_text
from vldock.image import cuda_device

LOG = "log.jsonl"


class Meter:
    """Meter of positions (text and image) per second, and of memory.

    It counts those that reach the language model's last layer.
    """

    def __init__(self, model: Any, device: str) -> None:
        self.device, self.positions, self.since = device, 0, time.monotonic()
        model.model.norm.register_forward_pre_hook(self._count)

    def _count(self, module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        if module.training:
            self.positions += inputs[0].shape[0] * inputs[0].shape[1]

    def read(self) -> dict[str, float]:
        """Return tokens_per_second since the last reading, and memory_gb.

        Memory is the GPU's peak, or that of this process.
        """
        now = time.monotonic()
        speed = self.positions / max(now - self.since, 1e-9)
        self.positions, self.since = 0, now
        return {"tokens_per_second": round(speed, 1), "memory_gb": round(memory(self.device) / 1e9, 3)}


def memory(device: str) -> int:
    """Return the memory in use, in bytes.

    The GPU's peak allocation, or the resident set of this process.
    """
    if device != "cpu":
        return cuda_device.peak_allocated(device)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


class Log:
    """Log of JSON lines in the run's folder.

    Each line is also passed to `log` and `listeners`.
    A line is appended whole.
    """

    def __init__(self, path: Path, *, log: Callable[[str], None], active: bool = True) -> None:
        self.path, self.log, self.active = path, log, active
        self.listeners: list[Callable[[str, dict[str, Any]], None]] = []

    def __call__(self, event: str, **values: Any) -> None:
        """Append an event: floats unrounded, None omitted."""
        if not self.active:
            return
        line = {"event": event, "time": round(time.time(), 3), **{k: v for k, v in values.items() if v is not None}}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        for listener in self.listeners:
            listener(event, values)
        self.log(render(event, values))

    def truncate_after(self, step: int) -> None:
        """Remove the lines of later steps, and a torn last line.

        A resumed run repeats those steps.
        """
        if not self.active or not self.path.is_file():
            return
        kept = [line for line in read(self.path) if line.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept))


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, without one torn by a kill."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def render(event: str, values: dict[str, Any]) -> str:
    """Return an event as one readable line."""
    if event == "step":
        norm = "-" if values.get("gradient_norm") is None else f"{values['gradient_norm']:.3f}"
        return (
            f"step {values['step']}  loss {values['loss']:.4f}  norm {norm}  "
            f"lr {values['learning_rate']:.2e}  {values['tokens_per_second']:.0f} tokens/s  "
            f"{values['memory_gb']:.2f} GB"
        )
    if event == "heldout":
        return (
            f"step {values['step']}  held-out accuracy {values['eval_accuracy']:.1%} of {values['eval_asked']:.0f}, "
            f"loss {values['eval_loss']:.4f}"
        )
    if event == "warning":
        return f"warning: {values['message']}"
    return f"{event}: " + ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def has_stalled(scores: Sequence[float], patience: int) -> bool:
    """Return whether the last `patience` scores brought no improvement."""
    return patience > 0 and len(scores) > patience and max(scores[-patience:]) <= max(scores[:-patience])


class RunCallback(TrainerCallback):  # type: ignore[misc]
    """Callback for checkpoints: proves the first, saves the last, stops early."""

    def __init__(self, tuner: Any, *, patience: int, prove: Callable[[], None], emit: Callable[..., None]) -> None:
        self.tuner, self.patience, self.prove, self.emit = tuner, patience, prove, emit

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Prove at step 1; at the last step score and save."""
        self.tuner.end_update()
        if state.global_step == 1:
            self.prove()
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        return control

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Stop early, by the history in the trainer's state.

        A resumed run has that history too.
        """
        scores = [line["eval_score"] for line in state.log_history if "eval_score" in line]
        if has_stalled(scores, self.patience) and state.global_step < state.max_steps:
            self.emit("early_stop", step=state.global_step, best=max(scores))
            control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Point `last` and `best` to their checkpoints."""
        if state.is_world_process_zero:
            run = Path(args.output_dir)
            replace_link(run / "last", f"checkpoint-{state.global_step}")
            if state.best_model_checkpoint:
                replace_link(run / "best", Path(state.best_model_checkpoint).name)
        self.tuner.grow_rows()
        return control


def replace_link(link: Path, name: str) -> None:
    """Replace `link` by a relative link to `name`, atomically."""
    fresh = link.with_name(f".{link.name}.{os.urandom(4).hex()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)
