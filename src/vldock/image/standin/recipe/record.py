"""Ask VLMEvalKit for every prompt: run its data sets and its LLaVA wrapper, and note what reaches generate().

No prompt is written here. The wrapper is loaded from the hub cache as it will be in an evaluation; only its model's
`generate` is replaced, by one that keeps its inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from vldock.image.standin.samples.benchmarks import TABLES


@dataclass(frozen=True, slots=True)
class Recorded:
    """One prompt as it reached the model.

    Attributes:
        benchmark, row: where it comes from.
        answer: what the model is to say.
        paths: the image files, in order.
        content: the wrapper's text, with its image marks.
        ids: token ids, with -200 for each image.
        pixels: float32 (images, 3, 336, 336).
    """

    benchmark: str
    row: int
    answer: str
    paths: tuple[str, ...]
    content: str
    ids: tuple[int, ...]
    pixels: torch.Tensor


class Recorder:
    """Stands where the model's generate() was; answers with an end token at once."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.ids: tuple[int, ...] = ()
        self.pixels = torch.empty(0)

    def __call__(self, ids: torch.Tensor, *, images: torch.Tensor, **_: object) -> torch.Tensor:
        """Keep `ids` (1, tokens) and `images`, and return one end token."""
        self.ids = tuple(ids[0].tolist())
        self.pixels = images.detach().float().cpu()
        return torch.tensor([[self.end]])


def open_dataset(name: str) -> Any:
    """Return VLMEvalKit's data set `name` over the stand-in's TSV, whose md5 cannot be upstream's."""
    from vlmeval.dataset import DATASET_CLASSES, build_dataset

    for kind in DATASET_CLASSES:
        getattr(kind, "DATASET_MD5", {}).pop(name, None)
    dataset = build_dataset(name)
    if dataset is None:
        raise LookupError(f"VLMEvalKit does not know the data set {name}")
    return dataset


@dataclass(frozen=True, slots=True)
class Message:
    """What VLMEvalKit hands to the wrapper for one sample, and the answer the stand-in is to give."""

    benchmark: str
    row: int
    answer: str
    message: list[dict[str, str]]


def messages(wrapper: Any) -> Iterator[Message]:
    """Yield every sample of every benchmark as vlmeval's inference loop builds it for `wrapper`."""
    for name, table in TABLES.items():
        dataset = open_dataset(name)
        wrapper.set_dump_image(dataset.dump_image)
        for row, sample in enumerate(table.samples()):
            line = dataset.data.iloc[row]
            own = wrapper.use_custom_prompt(name)
            message = wrapper.build_prompt(line, dataset=name) if own else dataset.build_prompt(line)
            yield Message(name, row, sample.answer, message)


def record(wrapper: Any) -> Iterator[Recorded]:
    """Yield every sample of every benchmark as `wrapper` (vlmeval.vlm.LLaVA) sends it to its model."""
    recorder = Recorder(wrapper.tokenizer.eos_token_id)
    generate, wrapper.model.generate = wrapper.model.generate, recorder
    try:
        for item in messages(wrapper):
            wrapper.generate(message=item.message, dataset=item.benchmark)
            content, paths = wrapper.concat_tilist(item.message)
            yield Recorded(item.benchmark, item.row, item.answer, tuple(paths), content, recorder.ids, recorder.pixels)
    finally:
        wrapper.model.generate = generate
