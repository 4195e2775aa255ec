"""HF's TrainingArguments of a configuration, for transformers 4.37.2."""

from __future__ import annotations

import os

from transformers import TrainingArguments

from vldock.image.training.config import Config

MIXED_PRECISION = "ACCELERATE_MIXED_PRECISION"


def arguments_of(config: Config, *, steps: int, precision: str, device: str) -> TrainingArguments:
    """Return HF's TrainingArguments for a configuration."""
    train = config.train
    on_cpu = device == "cpu"
    # TrainingArguments reads it, and leaves it behind: a user's, or an earlier training's, would autocast this one
    os.environ[MIXED_PRECISION] = "no" if precision == "fp32" else precision
    return TrainingArguments(
        output_dir=config.out,
        max_steps=steps,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation,
        learning_rate=train.learning_rate,
        warmup_steps=int(steps * train.warmup_fraction),
        weight_decay=train.weight_decay,
        lr_scheduler_type=train.scheduler,
        max_grad_norm=train.clip,
        fp16=precision == "fp16",
        bf16=precision == "bf16",
        gradient_checkpointing=train.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=train.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        evaluation_strategy="steps",
        eval_steps=train.save_every,
        save_strategy="steps",
        save_steps=train.save_every,
        save_total_limit=2,  # the best and the last
        metric_for_best_model="score",
        greater_is_better=True,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu else None,
        ddp_find_unused_parameters=False,
        dataloader_num_workers=train.workers,
        dataloader_pin_memory=train.pin_memory and not on_cpu,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
        seed=train.seed,
        optim="adamw_torch",
    )
