"""Preflight of a padded batch: two rows of different lengths against each row alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from llava.constants import IGNORE_INDEX, IMAGE_TOKEN_INDEX

from vldock.common.check import Check
from vldock.image.training.checks.measurements import count_image_positions, count_positions, make_check
from vldock.image.training.data.batch import Collator
from vldock.image.training.data.encode import Encoded, Encoder
from vldock.image.training.data.records import Record
from vldock.image.training.loop.heldout import to_device
from vldock.image.training.model.load import Loaded

LONGER = " as its petals and its leaves show"  # an answer's, where all records have one length
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 5e-2}  # of a loss: a batch is summed in another order


def check_padding(loaded: Loaded, records: Sequence[Record], encoder: Encoder) -> Iterator[Check]:
    """Check what padding adds to the shortest record, and that it changes no row's loss."""
    items = two_lengths(records, encoder, loaded)
    collator = Collator(loaded.tokenizer.pad_token_id, anyres=loaded.anyres)
    batch = to_device(collator(items), loaded.device)
    was_training = loaded.model.training
    loaded.model.eval()
    try:
        with torch.no_grad(), loaded.autocast():
            wrong = [*_wrong_ids(batch, items, loaded), *_wrong_positions(batch, items, loaded)]
            lengths = [len(item.ids) for item in items]
            padded = lengths[1] - lengths[0]
            yield make_check(
                "padding of a batch", not wrong,
                "pad tokens, no attention and no label after a row's end; image features at its <image>",
                wrong[0] if wrong else f"rows of {lengths[0]} and {lengths[1]} tokens: {padded} padded, as expected",
                "the tokenizer's pad token and padding side, and mm_patch_merge_type of the base",
            )  # fmt: skip
            yield _check_losses(batch, [to_device(collator([item]), loaded.device) for item in items], loaded)
    finally:
        loaded.model.train(was_training)


def two_lengths(records: Sequence[Record], encoder: Encoder, loaded: Loaded) -> list[Encoded]:
    """Return the records with the fewest and the most tokens, encoded; one is made longer where all are equal."""
    encoded = sorted((encoder(record) for record in records), key=lambda item: len(item.ids))
    if len(encoded[0].ids) < len(encoded[-1].ids):
        return [encoded[0], encoded[-1]]
    *others, answer = records[0].turns
    longer = replace(records[0], turns=(*others, replace(answer, text=answer.text + LONGER)))
    return [encoded[0], encoder(longer)]


def _wrong_ids(batch: dict[str, Any], items: Sequence[Encoded], loaded: Loaded) -> Iterator[str]:
    for row, item in enumerate(items):
        end = len(item.ids)
        ids, mask, labels = (batch[name][row] for name in ("input_ids", "attention_mask", "labels"))
        if (ids[end:] != loaded.tokenizer.pad_token_id).any() or (ids[:end].cpu() != item.ids).any():
            yield f"row {row}: its tokens are not its own, then pad {loaded.tokenizer.pad_token_id}"
        if mask.tolist() != [position < end for position in range(len(ids))]:
            yield f"row {row}: attention on {int(mask.sum())} of {end} tokens"
        if (labels[end:] != IGNORE_INDEX).any():
            yield f"row {row}: padding has labels"


def _wrong_positions(batch: dict[str, Any], items: Sequence[Encoded], loaded: Loaded) -> Iterator[str]:
    """Yield where a row, its images expanded, is not text, features and text in the order of its tokens."""
    inner = loaded.inner
    _, _, mask, _, embeds, labels = inner.prepare_inputs_labels_for_multimodal(
        batch["input_ids"], None, batch["attention_mask"], None, batch["labels"], batch["images"], batch["image_sizes"]
    )
    limit = getattr(inner.config, "tokenizer_model_max_length", None)
    for row, item in enumerate(items):
        ids = expand(item, loaded)[:limit]
        if int(mask[row].sum()) != len(ids):
            yield f"row {row}: attention on {int(mask[row].sum())} positions, it has {len(ids)}"
            continue
        own, text = embeds[row][mask[row].bool()], ids != IMAGE_TOKEN_INDEX
        if not torch.equal(own[text].float(), inner.get_input_embeddings()(ids[text]).to(own.dtype).float()):
            yield f"row {row}: its text is not around its images"
        if (labels[row][~mask[row].bool()] != IGNORE_INDEX).any():
            yield f"row {row}: padding has labels beside the images"
        if (labels[row][mask[row].bool()][~text] != IGNORE_INDEX).any():
            yield f"row {row}: image features have labels"


def expand(item: Encoded, loaded: Loaded) -> torch.Tensor:
    """Return a record's tokens with each image token as often as its image has positions."""
    counts = iter(count_image_positions(item, loaded))
    made = [
        same for token in item.ids.tolist() for same in [token] * (next(counts) if token == IMAGE_TOKEN_INDEX else 1)
    ]
    assert len(made) == count_positions(item, loaded)
    return torch.tensor(made, device=loaded.device)


def _check_losses(batch: dict[str, Any], alone: Sequence[dict[str, Any]], loaded: Loaded) -> Check:
    """Check that each row's loss in the padded batch is its loss alone."""
    differences, limit = [], TOLERANCE[loaded.precision]
    for row, single in enumerate(alone):
        labels = torch.full_like(batch["labels"], IGNORE_INDEX)
        labels[row] = batch["labels"][row]
        together, own = float(loaded.model(**{**batch, "labels": labels}).loss), float(loaded.model(**single).loss)
        differences.append((abs(together - own) / max(abs(own), 1e-6), together, own))
    worst = max(differences)
    return make_check(
        "loss of a padded row", worst[0] <= limit, f"each row's loss alone, within {limit:g} of it",
        f"{worst[1]:.5f} in the batch, {worst[2]:.5f} alone", "padding reaches the loss: attention masks, labels",
    )  # fmt: skip
