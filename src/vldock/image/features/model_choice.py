"""Choice of a build's model, and its opening.

model, processor = open_model(ModelChoice("liuhaotian/llava-v1.5-7b", prompted=True, tokens="mean"))
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.image.features import imported, model_code, prompt_features, towers
from vldock.image.features.processor import Processor, Resized
from vldock.image.features.prompt_features import PromptedModel
from vldock.image.features.space import LAST, TOKENS
from vldock.image.features.towers import VisionModel


@dataclass(frozen=True)
class ModelChoice:
    """Model of a build, as named by its user.

    `name` is VLMEvalKit's, ORG/NAME, a folder, or imported:NAME; or `code` is a file with open_model().
    `prompted`: features of image and prompt, else of the image alone. `resize` is HxW or "".
    """

    name: str = ""
    code: str = ""
    prompted: bool = False
    hidden: int = -1
    tokens: str = LAST
    resize: str = ""
    for_evaluation: bool = False


def open_model(choice: ModelChoice, *, device: str | None = None) -> tuple[VisionModel | PromptedModel, Processor]:
    """Return the model and processor; no weights are read, save by a user's code.

    Raises UsageError for a contradictory choice, InputRefused for a model that is not here.
    """
    size = parse_size(choice.resize)
    _check(choice)
    model: VisionModel | PromptedModel
    processor: Processor
    if choice.code:
        model, processor = model_code.open_code(Path(choice.code), prompted=choice.prompted, device=device)
    elif choice.name.startswith(imported.PREFIX):
        model, processor = imported.open_imported(choice.name.removeprefix(imported.PREFIX), prompted=choice.prompted)
    elif choice.prompted:
        model, processor = prompt_features.open_reader(
            choice.name, hidden=choice.hidden, tokens=choice.tokens, device=device
        )
    else:
        model, processor = towers.open_tower(choice.name, device=device, for_evaluation=choice.for_evaluation)
    return model, Resized(processor, *size) if size else processor


def parse_size(text: str) -> tuple[int, int] | None:
    """Return (height, width) of "360x640"; None for "".

    Raises UsageError for anything else.
    """
    if not text:
        return None
    matched = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)
    if matched is None:
        raise UsageError(f"size {text!r}", expected="HEIGHTxWIDTH, such as 360x640")
    return int(matched[1]), int(matched[2])


def _check(choice: ModelChoice) -> None:
    if bool(choice.name) == bool(choice.code):
        raise UsageError("a model's name and a model's code" if choice.name else "no model", expected="one of them")
    if choice.tokens not in TOKENS:
        raise UsageError(f"tokens {choice.tokens!r}", expected=", ".join(TOKENS))
    foreign = bool(choice.code) or choice.name.startswith(imported.PREFIX)
    if choice.for_evaluation and (foreign or choice.resize):
        raise UsageError(
            "features for an evaluation, of other code or resized images",
            expected="a LLaVA's tower and its own preprocessing: an evaluation reads nothing else",
        )
    if choice.resize and choice.name.startswith(imported.PREFIX):
        raise UsageError("imported features of resized images", expected="no size: they are computed already")
