"""Arguments of LLaVA's train.py: each one's setting here, or why it has none.

Names: llava/train/train.py of LLaVA 1.2.2.post1 (ModelArguments, DataArguments, TrainingArguments) and
transformers 4.37.2's TrainingArguments; a test inside the image compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TEXT, INTEGER, NUMBER, SWITCH = "text", "integer", "number", "True or False"


@dataclass(frozen=True)
class Argument:
    """Argument of train.py that is a setting here; `kind` is the form of its value."""

    setting: str
    kind: str = TEXT
    note: str = ""


SETTINGS = {
    "model_name_or_path": Argument("model.base", note="a LLaVA, or a language model that becomes a LLaVA-1.5"),
    "data_path": Argument("data.path", note="with data.source=json; LLaVA's conversations"),
    "image_folder": Argument("data.images"),
    "output_dir": Argument("out", note="the run's folder"),
    "vision_tower": Argument("model.tower"),
    "mm_projector_type": Argument("model.projector"),
    "pretrain_mm_mlp_adapter": Argument("model.projector_weights"),
    "mm_vision_select_layer": Argument("model.select_layer", INTEGER),
    "image_aspect_ratio": Argument("model.image_aspect_ratio", note="pad or square"),
    "model_max_length": Argument("model.max_length", INTEGER),
    "freeze_mm_mlp_adapter": Argument("model.train_projector", SWITCH, "the opposite"),
    "lora_r": Argument("model.lora_r", INTEGER),
    "lora_alpha": Argument("model.lora_alpha", INTEGER),
    "lora_dropout": Argument("model.lora_dropout", NUMBER),
    "num_train_epochs": Argument("train.epochs", NUMBER),
    "max_steps": Argument("train.max_steps", INTEGER, "-1 is 0: as many as the epochs take"),
    "per_device_train_batch_size": Argument("train.batch_size", INTEGER),
    "gradient_accumulation_steps": Argument("train.accumulation", INTEGER),
    "learning_rate": Argument("train.learning_rate", NUMBER),
    "mm_projector_lr": Argument("train.projector_learning_rate", NUMBER),
    "warmup_ratio": Argument("train.warmup_fraction", NUMBER),
    "weight_decay": Argument("train.weight_decay", NUMBER),
    "lr_scheduler_type": Argument("train.scheduler"),
    "max_grad_norm": Argument("train.clip", NUMBER),
    "gradient_checkpointing": Argument("train.gradient_checkpointing", SWITCH),
    "logging_steps": Argument("train.log_every", INTEGER),
    "save_steps": Argument("train.save_every", INTEGER),
    "dataloader_num_workers": Argument("train.workers", INTEGER),
    "dataloader_pin_memory": Argument("train.pin_memory", SWITCH),
    "seed": Argument("train.seed", INTEGER),
}

# decided together, or by their value, in llava_arguments.py
DECIDED = {
    "lora_enable": Argument("model.method", SWITCH, "True: lora; False: full"),
    "bits": Argument("model.method", INTEGER, "4: qlora; 16: as --lora_enable says; 8 is refused"),
    "tune_mm_mlp_adapter": Argument("model.method", SWITCH, "True: projector"),
    "bf16": Argument("train.precision", SWITCH, "bf16; fp32 where both are False"),
    "fp16": Argument("train.precision", SWITCH, "fp16"),
    "version": Argument("model.template", note="plain, v1 (llava_v1), llava_llama_2 or mistral_instruct"),
    "evaluation_strategy": Argument("data.heldout_fraction", note="no: one record is held out, and no early stop"),
    "save_strategy": Argument("train.save_every", note="steps, or no: at the end only"),
}

# why an argument has no effect -> the arguments
UNUSED = {
    "several GPUs: vldock train --processes N, or torchrun; DeepSpeed and FSDP are not in the image": (
        "deepspeed fsdp fsdp_min_num_params fsdp_config fsdp_transformer_layer_cls_to_wrap local_rank ddp_backend "
        "ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_timeout dispatch_batches split_batches "
        "mp_parameters ray_scope tpu_num_cores tpu_metrics_debug"
    ),
    "the log is log.jsonl, TensorBoard's files and page.html of the run's folder": (
        "report_to run_name logging_dir logging_strategy logging_first_step logging_nan_inf_filter log_level "
        "log_level_replica log_on_each_node disable_tqdm include_tokens_per_second include_num_input_tokens_seen "
        "skip_memory_metrics debug"
    ),
    "the best and the newest checkpoint are kept, best by the held-out answers": (
        "save_total_limit load_best_model_at_end metric_for_best_model greater_is_better save_only_model "
        "save_on_each_node save_safetensors"
    ),
    "held-out answers are scored one by one, at each save": (
        "per_device_eval_batch_size per_gpu_eval_batch_size eval_steps eval_delay eval_accumulation_steps "
        "prediction_loss_only include_inputs_for_metrics bf16_full_eval fp16_full_eval use_legacy_prediction_loop "
        "do_eval do_predict past_index jit_mode_eval"
    ),
    "a run continues from the newest checkpoint of its folder; a new folder is a new run": (
        "resume_from_checkpoint overwrite_output_dir ignore_data_skip do_train"
    ),
    "records are read and encoded when they are due": (
        "lazy_preprocess is_multimodal remove_unused_columns label_names length_column_name dataloader_drop_last "
        "dataloader_persistent_workers"
    ),
    "the order is drawn from train.seed, so that a resumed run is the uninterrupted one": (
        "group_by_modality_length group_by_length data_seed full_determinism"
    ),
    "train.precision decides": "tf32 half_precision_backend fp16_backend fp16_opt_level",
    "a batch that does not fit the GPU is halved by itself": "auto_find_batch_size",
    "downloads go into the one cache, which HF_HOME names": "cache_dir",
    "attention is SDPA": "attn_implementation mpt_attn_impl",
    "nothing is sent to the Hub": (
        "hub_model_id hub_strategy hub_token hub_private_repo hub_always_push push_to_hub_model_id "
        "push_to_hub_organization push_to_hub_token"
    ),
    "the program is not compiled": "torch_compile_backend torch_compile_mode torchdynamo use_ipex",
}

# argument -> the values that are accepted, and what to type instead of another
FIXED = {
    "freeze_backbone": ("False", "--tune_mm_mlp_adapter True trains the projector alone"),
    "unfreeze_mm_vision_tower": ("False", "the vision tower stays frozen: leave it out"),
    "mm_tunable_parts": ("mm_mlp_adapter", "--tune_mm_mlp_adapter True, --lora_enable True or False"),
    "mm_vision_tower_lr": ("0", "the vision tower stays frozen: leave it out"),
    "mm_use_im_start_end": ("False", "leave it out: LLaVA-1.5 and later have no such tokens"),
    "mm_use_im_patch_token": ("False", "--mm_use_im_patch_token False: nothing reads that token"),
    "mm_patch_merge_type": ("flat", "leave it out; tiles: --model_name_or_path liuhaotian/llava-v1.6-vicuna-7b"),
    "mm_vision_select_feature": ("patch", "leave it out: the features are those of the patches"),
    "double_quant": ("True", "leave it out: 4 bits are nested here"),
    "quant_type": ("nf4", "leave it out: 4 bits are nf4 here"),
    "lora_bias": ("none", "leave it out: biases are not trained with adapters"),
    "lora_weight_path": ("", "leave it out; adapters: export them, and name that folder as --model_name_or_path"),
    "optim": ("adamw_torch", "leave it out: the optimizer is AdamW"),
    "optim_args": ("", "leave it out"),
    "adafactor": ("False", "leave it out: the optimizer is AdamW"),
    "adam_beta1": ("0.9", "leave it out"),
    "adam_beta2": ("0.999", "leave it out"),
    "adam_epsilon": ("1e-8", "leave it out"),
    "lr_scheduler_kwargs": ("", "leave it out"),
    "gradient_checkpointing_kwargs": ("", "leave it out"),
    "warmup_steps": ("0", "--warmup_ratio, a share of the steps"),
    "label_smoothing_factor": ("0", "leave it out"),
    "neftune_noise_alpha": ("0", "leave it out"),
    "per_gpu_train_batch_size": ("", "--per_device_train_batch_size"),
    "no_cuda": ("False", "-e CUDA_VISIBLE_DEVICES=-1 at docker run: no GPU is seen, and a CPU trains"),
    "use_cpu": ("False", "-e CUDA_VISIBLE_DEVICES=-1 at docker run: no GPU is seen, and a CPU trains"),
    "use_mps_device": ("False", "leave it out"),
    "torch_compile": ("False", "leave it out"),
    "push_to_hub": ("False", "leave it out: nothing is sent to the Hub"),
}

REASONS = {name: reason for reason, names in UNUSED.items() for name in names.split()}
MAPPED = {**SETTINGS, **DECIDED}
NAMES = (*MAPPED, *REASONS, *FIXED)


def render_table() -> Iterator[str]:
    """Yield the lines of the table in docs/use/train.md."""
    yield "| train.py | here | |"
    yield "|---|---|---|"
    for name, argument in MAPPED.items():
        yield f"| `--{name}` | `{argument.setting}` | {argument.note} |"


def render_help() -> str:
    """Return the mapping as text for --help."""
    lines = ["arguments of LLaVA's train.py, with = or a blank, with _ or -, and their settings:"]
    for name, argument in MAPPED.items():
        lines.append(f"  --{name:28} {argument.setting}{f' ({argument.note})' if argument.note else ''}")
    lines.append("accepted, without effect:")
    lines += [f"  {reason}:\n    {' '.join(f'--{name}' for name in names.split())}" for reason, names in UNUSED.items()]
    lines.append("accepted with one value only:")
    lines += [f"  --{name} {value or '(none)'}; else: {instead}" for name, (value, instead) in FIXED.items()]
    return "\n".join(lines)
