"""AdamW with a learning rate of its own for the projector (LLaVA's --mm_projector_lr).

Source: llava/train/llava_trainer.py, create_optimizer: biases and norms have no weight decay.
"""

from __future__ import annotations

from typing import Any

from transformers import Trainer, TrainingArguments
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import get_parameter_names

from vldock.image.training.model.load import PROJECTOR


def make_optimizer(model: Any, arguments: TrainingArguments, projector_rate: float) -> Any:
    """Return the Trainer's optimizer, the projector's weights at `projector_rate`.

    The other weights come first: theirs is the learning rate in the log.
    """
    decays = {name for name in get_parameter_names(model, ALL_LAYERNORM_LAYERS) if "bias" not in name}
    groups = []
    for rate, of_projector in ((arguments.learning_rate, False), (projector_rate, True)):
        for decayed in (True, False):
            weights = [
                value
                for name, value in model.named_parameters()
                if value.requires_grad and bool(PROJECTOR.search(name)) is of_projector and (name in decays) is decayed
            ]
            groups.append({"params": weights, "weight_decay": arguments.weight_decay if decayed else 0.0, "lr": rate})
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    return kind([group for group in groups if group["params"]], **options)
