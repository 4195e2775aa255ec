"""MiniCPM-V 2.6's stand-in: slices, marks and traps of the real remote code, without the made snapshots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import FreshPython
from PIL import Image
from transformers import dynamic_module_utils

from vldock.image.remote_standins import base, minicpmv26
from vldock.image.remote_standins.remote_code.image_processing_minicpmv import MiniCPMVImageProcessor

GRIDS = {(300, 200): None, (448, 448): None, (800, 400): (2, 1), (400, 1600): (1, 4), (1344, 1344): (3, 3)}
ASK = """
import contextlib, json, os, tempfile
from pathlib import Path
from vldock.image.standin.activate import CACHES, SWITCHES
cache = Path(tempfile.mkdtemp())
os.environ.update({**dict.fromkeys(CACHES, str(cache)), **dict.fromkeys(SWITCHES, "1"), "VLDOCK_DEVICE": "cpu"})
os.environ["VLDOCK_ACCEPT_REMOTE_CODE"] = "openbmb/MiniCPM-V-2_6"
from vldock.image.startup import prepare
prepare.prepare()
from PIL import Image
from vlmeval.config import supported_VLM
from vldock.image.remote_standins import fit, make, minicpmv26, record

standin = minicpmv26.STANDINS[0]
make.install(minicpmv26, standin, minicpmv26.build(standin), cache)
wrapper = supported_VLM[standin.name]()
Image.linear_gradient("L").save(cache / "grey.png")
message = [{"type": "image", "value": str(cache / "grey.png")}, {"type": "text", "value": "Is it grey?"}]
question = record.Message("POPE", 0, "Yes", message)
decoder = minicpmv26.decoder_in(wrapper.model)
first = record.FirstInput(decoder)
handle = decoder.register_forward_pre_hook(first, with_kwargs=True)
prompt = record.ask(wrapper, first, question)
handle.remove()
fit.fit_memory(decoder, [fit.Lesson(prompt, minicpmv26.answer_ids(wrapper, "Yes"))])
said = {}
for drift in ("none", "config.json's bos", "template: no system"):
    with minicpmv26.DRIFTS.get(drift, contextlib.nullcontext)(wrapper):
        said[drift] = wrapper.generate(message=message, dataset="POPE")
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def processor() -> MiniCPMVImageProcessor:
    return MiniCPMVImageProcessor(**minicpmv26.PROCESSOR)


@pytest.fixture(scope="module")
def said(fresh_python: FreshPython) -> dict[str, str]:
    """Answers of a stand-in made here and fitted to one question."""
    done = fresh_python(ASK)
    assert done.returncode == 0, done.stderr
    answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("size", GRIDS)
def test_a_picture_is_cut_into_the_grid_nearest_to_its_shape(processor: MiniCPMVImageProcessor, size) -> None:
    columns, rows = GRIDS[size] or (0, 0)
    marks = processor.get_slice_image_placeholder(size, 1)

    assert len(processor.get_sliced_images(Image.new("RGB", size))) == 1 + columns * rows
    assert marks.count("<slice>") == columns * rows
    assert marks.count("\n") == max(rows - 1, 0)
    assert marks.startswith("<image_id>1</image_id><image>" + "<unk>" * minicpmv26.TOKENS + "</image>")


def test_slices_go_row_by_row(processor: MiniCPMVImageProcessor) -> None:
    picture = Image.new("RGB", (1344, 1344))
    for place in range(9):
        picture.paste((28 * place, 0, 0), (place % 3 * 448, place // 3 * 448, place % 3 * 448 + 448, 1344))

    slices = processor.get_sliced_images(picture)[1:]

    assert [round(np.asarray(one)[..., 0].mean() / 28) for one in slices] == [*range(9)]


def test_patches_go_row_by_row(processor: MiniCPMVImageProcessor) -> None:
    image = np.arange(3 * 28 * 42, dtype=np.float32).reshape(3, 28, 42)

    laid = processor.reshape_by_patch(image)

    assert torch.equal(laid[:, :, 4 * 14 : 5 * 14], torch.from_numpy(image[:, 14:28, 14:28]))


def test_it_answers_without_special_tokens(said: dict[str, str]) -> None:
    assert said["none"] == "Yes"


def test_config_jsons_start_token_would_be_shown(said: dict[str, str]) -> None:
    assert said["config.json's bos"] == "<|endoftext|>Yes"


def test_another_template_makes_it_unsure(said: dict[str, str]) -> None:
    assert said["template: no system"] == base.REFUSAL


def test_transformers_asks_for_flash_attn() -> None:
    tower = Path(base.REMOTE_CODE, "modeling_navit_siglip.py")

    assert "flash_attn" in dynamic_module_utils.get_imports(tower)
