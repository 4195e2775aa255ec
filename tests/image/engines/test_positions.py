"""Prompt positions of images, against the length the model itself makes of the prompt."""

from __future__ import annotations

from typing import Any

import pytest
import training_fixture
from training_fixture import Box

# wide, high, square, odd sides, a strip of which unpadding leaves a row, and one smaller than a tile
SIZES = ((107, 162), (400, 100), (100, 399), (224, 224), (900, 31), (31, 900), (20, 20), (113, 57))


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.make(tmp_path_factory.mktemp("positions"))


def loaded(box: Box, base: str, **settings: object) -> Any:
    """Return a tiny model with a changed config."""
    from vldock.image.training.model import load as model_load

    made = model_load.load(box.config(box.root / "unused", f"model.base={box.root / base}"), device="cpu")
    for name, value in settings.items():
        setattr(made.inner.config, name, value)
    return made


def given(made: Any, sizes: tuple[tuple[int, int], ...]) -> tuple[Any, list[int]]:
    """Return (images as the model gets them, tokens with one image token for each)."""
    import torch
    from llava.mm_utils import process_images
    from PIL import Image

    pictures = [Image.new("RGB", size, "red") for size in sizes]
    images = [process_images([picture], made.processor, made.inner.config)[0] for picture in pictures]
    return (images if made.anyres else torch.stack(images)), [1, 5, *([-200, 7] * len(sizes)), 9]


def read_by_model(made: Any, images: Any, tokens: list[int], sizes: tuple[tuple[int, int], ...]) -> int:
    """Return the positions of prepare_inputs_labels_for_multimodal, without a cut."""
    import torch

    made.inner.config.tokenizer_model_max_length = None
    with torch.inference_mode():
        embeddings = made.inner.prepare_inputs_labels_for_multimodal(
            torch.tensor([tokens]), None, None, None, None, images, list(sizes)
        )[4]
    return int(embeddings.shape[1])


@pytest.mark.parametrize("merge", ["spatial_unpad", "spatial", "flat"])
@pytest.mark.parametrize("sizes", [*((size,) for size in SIZES), SIZES], ids=str)
def test_an_anyres_prompt_is_as_long_as_the_model_makes_it(
    box: Box, merge: str, sizes: tuple[tuple[int, int], ...]
) -> None:
    from vldock.image.llava_hooks import positions
    from vldock.image.vlmeval_hooks.provenance import sample_notes

    made = loaded(box, "next", mm_patch_merge_type=merge)
    images, tokens = given(made, sizes)

    counted = positions.count_per_image(made.inner, images, sizes)
    note = sample_notes.describe_prompt(tokens, images=counted, limit=None, arguments={})

    assert note["length"] == read_by_model(made, images, tokens, sizes)
    assert note["length"] >= len(tokens) + 15 * len(sizes)


def test_a_llava_1_5_prompt_counts_one_grid_for_each_image(box: Box) -> None:
    from vldock.image.llava_hooks import positions

    made = loaded(box, "plain")
    images, tokens = given(made, SIZES)

    counted = positions.count_per_image(made.inner, images, SIZES)

    assert counted == [16] * len(SIZES)
    assert positions.count_in_prompt(tokens, counted, token=-200) == read_by_model(made, images, tokens, SIZES)


@pytest.mark.parametrize(("room", "cut"), [(0, False), (-1, True)], ids=["it fits", "one too many"])
def test_a_cut_is_told_from_the_first_position_that_is_lost(box: Box, room: int, cut: bool) -> None:
    """predict and the preflight agree on an image of more than one grid."""
    import torch

    from vldock.image.predict.prompt_sent import describe_prompt
    from vldock.image.training.checks import preflight as training_preflight
    from vldock.image.training.data.encode import Encoded

    made = loaded(box, "next")
    sizes = SIZES[:1]
    images, tokens = given(made, sizes)
    limit = read_by_model(made, images, tokens, sizes) + room
    made.inner.config.tokenizer_model_max_length = limit

    ids = torch.tensor(tokens)
    told = describe_prompt(made.inner, (ids[None],), {"images": images, "image_sizes": sizes})
    fits = training_preflight.check_length(made, [Encoded(ids, ids, tuple(images), sizes)])

    assert told["cut"] is cut
    assert (fits.status == "ok") is not cut
