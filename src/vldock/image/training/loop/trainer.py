"""HF Trainer with deterministic resume, batch splitting and held-out scores.

For transformers 4.37.2 and accelerate 0.21.

The order of the whole run from the seed, so that a resumed run is the uninterrupted one; gradient norm, memory and
tokens per second in the log; held-out answers as the metric; LLaVA's checkpoint formats; a batch in pieces where it
does not fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from vldock.common.errors import VldockError
from vldock.image.training.config import Config
from vldock.image.training.data.batch import Collator, split_batch
from vldock.image.training.data.encode import Encoder, Records
from vldock.image.training.data.records import Record
from vldock.image.training.data.sample_order import RunSampler
from vldock.image.training.loop import gradient_sync, optimizer
from vldock.image.training.loop import heldout as answers
from vldock.image.training.loop.monitor import Meter
from vldock.image.training.loop.rows_at_once import RowsAtOnce
from vldock.image.training.loop.watches import Watch
from vldock.image.training.loop.workers import count_workers
from vldock.image.training.model import checkpoint
from vldock.image.training.model.cached_tower import CachedTower
from vldock.image.training.model.load import Loaded, trainable_parameters


class Diverged(VldockError):
    """Error of a loss no longer finite."""


class FineTuner(Trainer):  # type: ignore[misc]
    """Trainer of a LLaVA on records.

    `rows` counts a batch's rows that are computed at once.
    """

    control: Any  # the Trainer's, which has no types
    optimizer: Any

    def __init__(
        self,
        loaded: Loaded,
        config: Config,
        arguments: TrainingArguments,
        *,
        training: Sequence[Record],
        heldout: Sequence[Record],
        rows: RowsAtOnce,
        emit: Callable[..., None],
        cached: CachedTower | None = None,
    ) -> None:
        self.loaded, self.config, self.rows, self.emit = loaded, config, rows, emit
        accept = config.data.accept
        self.encoder = Encoder(loaded.tokenizer, loaded.processor, loaded.inner.config, accept=accept, cached=cached)
        self.heldout = list(heldout)
        self.scored: list[answers.Answer] = []
        self.norm: float | None = None
        self.update_loss = 0.0
        tokens = loaded.inner.get_input_embeddings().weight.shape[0]
        self.watch = Watch(tokens=tokens, clip=config.train.clip, emit=emit)
        arguments.dataloader_num_workers = count_workers(
            config.train.workers, config.train.batch_size, training, self.encoder, emit=emit
        )
        arguments._n_gpu = min(1, arguments.n_gpu)  # DataParallel would split the list of images; torchrun does not
        collator = Collator(loaded.tokenizer.pad_token_id, anyres=loaded.anyres)
        super().__init__(
            model=loaded.model,
            args=arguments,
            data_collator=collator,
            train_dataset=Records(training, self.encoder),
        )
        self.meter = Meter(loaded.inner, loaded.device)
        clip = self.accelerator.clip_grad_norm_

        def clipped(*args: Any, **kwargs: Any) -> Any:
            norm = clip(*args, **kwargs)
            self.norm = None if norm is None else float(norm)
            return norm

        self.accelerator.clip_grad_norm_ = clipped

    def _get_train_sampler(self) -> RunSampler:
        rows = self.args.max_steps * self.args.gradient_accumulation_steps * self.args.train_batch_size
        return RunSampler(len(self.train_dataset), rows * self.args.world_size, self.config.train.seed)

    def create_optimizer(self) -> Any:
        """Return the optimizer; the projector has a learning rate of its own where the configuration names one."""
        if self.optimizer is None and (rate := self.config.train.projector_learning_rate):
            self.optimizer = optimizer.make_optimizer(self.model, self.args, rate)
        return super().create_optimizer()

    def training_step(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Run forward and backward of a batch; return its loss.

        The batch is computed whole or in parts.
        Raises Diverged for a loss that is not finite.

        Raises gradient_sync.OutOfMemoryEverywhere, in every process, where it did not fit one of them.
        """
        model.train()
        inputs = self._prepare_inputs(inputs)
        total, trouble = torch.zeros((), device=self.args.device), None
        several = self.args.world_size > 1
        try:
            with model.no_sync() if several else nullcontext():
                for part, share in split_batch(inputs, self.rows.now):
                    with self.compute_loss_context_manager():
                        loss = self.compute_loss(model, part) * share
                    self.accelerator.backward(loss)
                    total += loss.detach()
        except torch.cuda.OutOfMemoryError as error:
            trouble = str(error)  # the error itself holds what the batch had computed
        gradient_sync.require_fitted(trouble, self.args.device)
        if several and self.accelerator.sync_gradients:
            gradient_sync.average(parameter for _, parameter in trainable_parameters(self.loaded.model))
        if not torch.isfinite(total):
            raise Diverged(
                f"the loss is {float(total)} at step {self.state.global_step + 1} (gradient norm before: {self.norm})",
                expected="a finite loss",
                hint="train.precision=bf16 or fp32, a smaller train.learning_rate; `train --check` looks at the data",
            )
        self.update_loss += float(total) / self.args.gradient_accumulation_steps
        return total / self.args.gradient_accumulation_steps

    def end_update(self) -> None:
        """Count an update, and look at its loss and gradient norm."""
        self.rows.count_update()
        self.watch.look(self.state.global_step, self.update_loss, self.norm)
        self.update_loss = 0.0

    def grow_rows(self) -> None:
        """Compute more rows at once where memory has sufficed for long."""
        before = self.rows.now
        if self.rows.grow():
            self.emit("batch", step=self.state.global_step, rows_at_once=self.rows.now, before=before)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Answer held-out questions; return eval_accuracy, eval_loss, eval_score."""
        begun = time.monotonic()
        limit = self.config.train.heldout_samples
        found = {f"eval_{name}": value for name, value in self.score(self.heldout[:limit]).items()}
        self.emit("heldout", step=self.state.global_step, seconds=round(time.monotonic() - begun, 3), **found)
        self.flush_features()
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def flush_features(self) -> None:
        """Write pending features and emit the cache's totals over all processes.

        Nothing is done where there is no cache.
        """
        if not self.config.model.feature_cache:
            return
        cached = self.encoder.cached
        if cached is not None:
            cached.flush()
        if totals := [one for one in self._gathered(cached.totals() if cached else None) if one]:
            summed = {name: sum(one[name] for one in totals) for name in totals[0]}
            self.emit("features", step=self.state.global_step, **summed)

    def score(self, records: Sequence[Record]) -> dict[str, float]:
        """Answer `records`, split over the processes, and return overall metrics."""
        rank, world = self.args.process_index, self.args.world_size
        made = answers.answer_questions(
            self.loaded.inner,
            records[rank::world],
            self.encoder,
            collator=self.data_collator,
            tokens=self.config.train.answer_tokens,
            autocast=self.loaded.autocast,
        )
        every = [answer for share in self._gathered(made) for answer in share]
        self.scored = sorted(every, key=lambda answer: answer.id)
        return answers.metrics(self.scored)

    def _gathered(self, value: Any) -> list[Any]:
        """Return every process's value, to every process."""
        values = [value] * self.args.world_size
        if self.args.world_size > 1:
            torch.distributed.all_gather_object(values, value)
        return values

    def log(self, logs: dict[str, float]) -> None:
        """Emit a line about the loss with gradient norm, memory and speed."""
        if "loss" in logs:
            epochs = (self.state.global_step * self.total_batch) / len(self.train_dataset)
            line: dict[str, Any] = {**logs, **self.meter.read(), "gradient_norm": self.norm, "epoch": round(epochs, 4)}
            self.emit("step", step=self.state.global_step, **line)
            logs = {name: value for name, value in line.items() if value is not None}
        super().log(logs)

    @property
    def total_batch(self) -> int:
        """Rows of one update, over all processes."""
        arguments = self.args
        return int(arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        checkpoint.save(self.model, self.loaded.tokenizer, Path(output_dir or self.args.output_dir), self.config)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint.load(self.model, Path(resume_from_checkpoint), self.config)


def as_lines(scored: Sequence[answers.Answer]) -> list[dict[str, Any]]:
    """Return held-out answers as JSON objects, with `right`."""
    return [{**asdict(answer), "right": answer.right} for answer in scored]
