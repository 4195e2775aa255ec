"""Preflight: checks before a training.

Each has an expected and an actual value.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from llava.constants import IGNORE_INDEX

from vldock.common.check import Check
from vldock.image.training.checks import measurements, padding
from vldock.image.training.checks.measurements import make_check
from vldock.image.training.config import Config
from vldock.image.training.data.batch import Collator
from vldock.image.training.data.encode import Encoded, Encoder, count_image_tokens
from vldock.image.training.data.images import sha256_of
from vldock.image.training.data.records import Record
from vldock.image.training.dataset import Dataset
from vldock.image.training.loop.heldout import to_device
from vldock.image.training.model import load as models
from vldock.image.training.model.load import Loaded

SAMPLES = 16  # records that are encoded and examined


def report(config: Config, data: Dataset, *, log: Callable[[str], None]) -> int:
    """Run and log every check; return 0, or 4 for a failure.

    The model is loaded for it; nothing of its steps remains.
    """
    found = []
    for check in run(config, data, log=log):
        log(measurements.render(check))
        found.append(check)
    failed, warned = (sum(check.status == status for check in found) for status in ("fail", "warn"))
    log(
        f"preflight: {len(found) - failed} of {len(found)} checks passed"
        + (f", {warned} with a warning" if warned else "")
        + ("; nothing was trained" if failed else "")
    )
    return 4 if failed else 0


def run(config: Config, data: Dataset, *, log: Callable[[str], None]) -> Iterator[Check]:
    """Yield each check as it finishes; `log` gets the shapes of a batch.

    Raises the errors of loading the model.
    """
    yield check_leak(data)
    device = models.device_of()
    loaded = models.load(config, device=device)
    yield check_attention(loaded)
    yield measurements.check_disk(loaded, config)
    yield check_geometry(loaded)
    yield check_vocabulary(loaded)
    encoder = Encoder(loaded.tokenizer, loaded.processor, loaded.inner.config, accept=config.data.accept)
    records = list(data.training[:SAMPLES])
    encoded = [encoder(record) for record in records]
    yield check_image_tokens(records, encoded)
    yield check_pixels(loaded, [item for record, item in zip(records, encoded, strict=True) if record.pictures])
    yield check_labels(loaded, records, encoded)
    yield check_length(loaded, encoded)
    collator = Collator(loaded.tokenizer.pad_token_id, anyres=loaded.anyres)
    batches = [to_device(collator([item]), device) for item in encoded]
    yield check_image_sizes(loaded, encoded, batches[0])
    for line in describe_batch(encoded, batches[0]):
        log(line)
    yield from padding.check_padding(loaded, records, encoder)
    yield from measurements.check_steps(loaded, batches)
    del loaded
    gc.collect()


def check_leak(data: Dataset) -> Check:
    """Check that no held-out picture is trained on, by content."""
    trained = {sha256_of(picture) for record in data.training for picture in record.pictures}
    both = {picture.name for record in data.heldout for picture in record.pictures if sha256_of(picture) in trained}
    return make_check(
        "no held-out picture in the training set",
        not both,
        "0 in both",
        f"{len(both)} in both" + (f", such as {sorted(both)[0]}" if both else ""),
        "remove the copies: accuracy on pictures that were trained on says nothing",
    )


def check_attention(loaded: Loaded) -> Check:
    """Check that attention is SDPA and flash-attn was not imported."""
    seen = str(getattr(loaded.inner.config, "_attn_implementation", None))
    flash = "flash_attn" in sys.modules
    said = f"{seen}, flash_attn {'imported' if flash else 'not imported'}"
    return make_check("attention", seen == "sdpa" and not flash, "sdpa, flash_attn not imported", said)


def check_geometry(loaded: Loaded) -> Check:
    """Check the tower's geometry: 336/14 is 24x24 = 576 patches and CLS."""
    tower = loaded.inner.get_vision_tower()
    side, patch = tower.config.image_size, tower.config.patch_size
    grid = side // patch
    positions = tower.vision_tower.vision_model.embeddings.num_positions
    with torch.inference_mode():
        made = tower(torch.zeros(1, 3, side, side, device=tower.device, dtype=tower.dtype)).shape
    crop = loaded.processor.crop_size["height"]
    right = positions == grid * grid + 1 and made[1] == grid * grid and crop == side and side % patch == 0
    return make_check(
        "vision tower",
        right,
        f"{side}x{side} pixels in patches of {patch}: {grid}x{grid} = {grid * grid} patches + CLS",
        f"processor makes {crop}x{crop}, {positions} positions, features {tuple(made)}",
        "mm_vision_tower and the image processor are of different models",
    )


def check_vocabulary(loaded: Loaded) -> Check:
    """Check that every token has an embedding and <image> is no token.

    Padding and end of sequence are tokens.
    """
    tokenizer = loaded.tokenizer
    rows = loaded.inner.get_input_embeddings().weight.shape[0]
    pieces = tokenizer.convert_tokens_to_ids("<image>") not in (None, tokenizer.unk_token_id)
    right = len(tokenizer) <= rows and None not in (tokenizer.pad_token_id, tokenizer.eos_token_id) and not pieces
    return make_check(
        "tokenizer",
        right,
        f"at most {rows} tokens, a pad and an end token, <image> no token",
        f"{len(tokenizer)} tokens, pad {tokenizer.pad_token_id}, end {tokenizer.eos_token_id}, "
        f"<image> {'a token' if pieces else 'no token'}",
        "use the tokenizer that came with the base",
    )


def check_image_tokens(records: list[Record], encoded: list[Encoded]) -> Check:
    """Check that the tokens refer to each image once."""
    wrong = [
        f"{record.id}: {count_image_tokens(item.ids)} tokens, {len(record.pictures)} images"
        for record, item in zip(records, encoded, strict=True)
        if count_image_tokens(item.ids) != len(record.pictures)
    ]
    seen = wrong[0] if wrong else f"so in {len(records)} records"
    return make_check(
        "one image token per image", not wrong, "as many tokens as images", seen, "see the record's <image>"
    )


def check_pixels(loaded: Loaded, encoded: list[Encoded]) -> Check:
    """Check image tensors: the tower's side, finite values within range."""
    side = loaded.inner.get_vision_tower().config.image_size
    images = [image for item in encoded for image in item.images]
    if not images:
        return make_check("pixel values", True, "finite, within 20", "no record looked at has an image")
    wrong = [
        image for image in images if image.shape[-3:] != (3, side, side) or image.ndim != (4 if loaded.anyres else 3)
    ]
    wild = [image for image in images if not torch.isfinite(image).all() or image.abs().max() > 20]
    form = f"(tiles, 3, {side}, {side})" if loaded.anyres else f"(3, {side}, {side})"
    seen = f"{tuple(images[0].shape)}, values {min(float(i.min()) for i in images):.2f} to " + (
        f"{max(float(i.max()) for i in images):.2f}"
    )
    return make_check(
        "pixel values", not wrong and not wild, f"{form}, finite, within 20", seen, "the processor's mean and std"
    )


def check_labels(loaded: Loaded, records: list[Record], encoded: list[Encoded]) -> Check:
    """Check that labels spell the answers and nothing of the questions."""
    wrong = []
    for record, item in zip(records, encoded, strict=True):
        spelt = loaded.tokenizer.decode(item.labels[item.labels != IGNORE_INDEX], skip_special_tokens=True)
        wanted = " ".join(turn.text for turn in record.turns if turn.role == "gpt")
        if spelt.split() != wanted.split():
            wrong.append(f"{record.id}: labels spell {spelt[:60]!r}, the answer is {wanted[:60]!r}")
    share = sum(int((item.labels != IGNORE_INDEX).sum()) for item in encoded) / sum(len(item.ids) for item in encoded)
    seen = wrong[0] if wrong else f"so in {len(records)} records; {share:.0%} of the tokens are labels"
    return make_check(
        "labels masked on the prompt", not wrong, "labels spell the answers only", seen, "see the template"
    )


def check_length(loaded: Loaded, encoded: list[Encoded]) -> Check:
    """Check that no record is longer than the model reads.

    llava_arch.py truncates beyond tokenizer_model_max_length without a warning.
    """
    limit = getattr(loaded.inner.config, "tokenizer_model_max_length", None)
    longest = max(measurements.count_positions(item, loaded) for item in encoded)
    return make_check(
        "length",
        limit is None or longest <= limit,
        f"at most {limit} positions",
        f"up to {longest}",
        "shorter conversations, or fewer images in a record: what is cut is the end, and the answer with it",
    )


def check_image_sizes(loaded: Loaded, encoded: list[Encoded], batch: dict[str, Any]) -> Check:
    """Check that the batch carries each image's own size."""
    wanted = [tuple(size) for size in encoded[0].sizes]
    seen = [tuple(size) for size in batch["image_sizes"]]
    kind = "anyres needs them" if loaded.anyres else "kept for every model"
    return make_check("image_sizes in the batch", seen == wanted, f"{wanted} ({kind})", str(seen))


def describe_batch(encoded: list[Encoded], batch: dict[str, Any]) -> list[str]:
    """Return the number of image tokens in a record, and the shapes of a batch's tensors."""
    counts = sorted({count_image_tokens(item.ids) for item in encoded})
    images = batch["images"] if isinstance(batch["images"], list) else [batch["images"]]
    shapes = {name: tuple(batch[name].shape) for name in ("input_ids", "labels", "attention_mask")}
    return [
        f"     Number of image tokens: {' or '.join(map(str, counts))}",
        f"     pixel_values: {', '.join(str(tuple(image.shape)) for image in images)}",
        f"     {', '.join(f'{name}: {shape}' for name, shape in shapes.items())}",
    ]
