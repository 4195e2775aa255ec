"""Processor of the stand-in: prompts with their pictures' marks, and the pictures' pixels."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from transformers.processing_utils import ProcessorMixin

from .image_processing_minicpmv import MiniCPMVBatchFeature

PICTURE = "(<image>./</image>)"
PADDING = 0


def pad_left(rows: list[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
    """Return `rows` as one tensor, padded on the left, and how much was added to each."""
    longest = max(len(row) for row in rows)
    padded = torch.full((len(rows), longest), PADDING, dtype=rows[0].dtype)
    for number, row in enumerate(rows):
        padded[number, longest - len(row) :] = row
    return padded, [longest - len(row) for row in rows]


class MiniCPMVProcessor(ProcessorMixin):  # type: ignore[misc]
    """Join the image processor and the tokenizer."""

    attributes: ClassVar[list[str]] = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(self, image_processor: Any = None, tokenizer: Any = None) -> None:
        super().__init__(image_processor, tokenizer)
        self.version = image_processor.version

    def __call__(
        self,
        text: str | list[str],
        images: Any = None,
        max_length: int | None = None,
        do_pad: bool | None = True,
        max_slice_nums: int | None = None,
        use_image_id: bool | None = None,
        return_tensors: Any = None,
    ) -> MiniCPMVBatchFeature:
        """Return the inputs of MiniCPMV.generate for prompts and their pictures.

        Args:
            text: prompts, with the mark PICTURE for every picture.
            images: a list of pictures for each prompt.
            max_length: tokens beyond this are dropped.
            max_slice_nums, use_image_id: in place of the image processor's own values.
        """
        texts = [text] if isinstance(text, str) else text
        inputs = self.image_processor(images, do_pad=do_pad, max_slice_nums=max_slice_nums)
        rows, bounds = [], []
        for prompt, sizes in zip(texts, inputs["image_sizes"], strict=True):
            marked = self._mark_pictures(prompt, sizes, max_slice_nums, use_image_id)
            ids = torch.tensor(self.tokenizer.encode(marked)[:max_length], dtype=torch.int32)
            rows.append(ids)
            bounds.append(self._find_pictures(ids))
        input_ids, added = pad_left(rows)
        return MiniCPMVBatchFeature(
            {
                **inputs,
                "input_ids": input_ids,
                "attention_mask": input_ids.ne(PADDING),
                "image_bound": [bound + count for bound, count in zip(bounds, added, strict=True)],
            }
        )

    def _mark_pictures(self, prompt: str, sizes: list[Any], most: int | None, use_id: bool | None) -> str:
        """Return `prompt` with every PICTURE replaced by that picture's marks."""
        first, *rest = prompt.split(PICTURE)
        if len(rest) != len(sizes):
            raise ValueError(f"{len(rest)} marks in the prompt; expected one for each of {len(sizes)} pictures")
        mark = self.image_processor.get_slice_image_placeholder
        return first + "".join(
            mark(size, number, most, use_id) + part for number, (size, part) in enumerate(zip(sizes, rest, strict=True))
        )

    def _find_pictures(self, ids: torch.Tensor) -> torch.Tensor:
        """Return (pictures and slices, 2): where each one's tokens begin and end in `ids`."""
        tokenizer = self.tokenizer
        starts = torch.where((ids == tokenizer.im_start_id) | (ids == tokenizer.slice_start_id))[0] + 1
        ends = torch.where((ids == tokenizer.im_end_id) | (ids == tokenizer.slice_end_id))[0]
        return torch.stack([starts, ends], dim=1)
