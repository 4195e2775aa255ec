"""Towers and their preprocessing: LLaVA's features bit for bit, anyres crops, whose spaces are one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from feature_fixture import TOWER, anyres, draw
from PIL import Image
from safetensors.torch import save_file

from vldock.common.errors import InputRefused
from vldock.image.__main__ import main
from vldock.image.features import build, lookup, picture_rows, prompt_features, towers
from vldock.image.features.cache import FeatureCache
from vldock.image.standin import ASSETS


@pytest.fixture
def pictures(tmp_path: Path) -> list[picture_rows.ImageRow]:
    return draw(tmp_path / "pictures")


def test_the_stand_in_tower_s_features_are_llava_s_bit_for_bit(
    pictures: list[picture_rows.ImageRow], tmp_path: Path
) -> None:
    tower, processor = towers.open_tower(str(TOWER))
    done = build.build(pictures[:2], vl_model=tower, processor=processor, cache_dir=tmp_path / "cache")
    with FeatureCache(tmp_path / "cache", done.space) as cache:
        found = lookup.CachedPictures(pictures[:2], cache)[1].features

    fresh, again = towers.open_tower(str(TOWER))
    assert torch.equal(found, fresh.encode(again(Image.open(pictures[1].path))[None])[0].half())
    assert found.shape == (576, 64)


WIDE, SQUARE = ((672, 336), (336, 672)), ((672, 672),)


def test_anyres_features_are_those_of_every_crop_whatever_is_beside_it_in_the_batch(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name, size in (("a", (600, 200)), ("b", (500, 500))):
        Image.linear_gradient("L").resize(size).convert("RGB").save(tmp_path / "pictures" / f"{name}.png")
    tower, processor = anyres((*WIDE, *SQUARE))
    listed = picture_rows.from_folder(tmp_path / "pictures")
    build.build(listed, vl_model=tower, processor=processor, cache_dir=tmp_path / "cache", dtype="float32")

    with FeatureCache(tmp_path / "cache", towers.space_of(tower, processor, "float32")) as cache:
        found = [sample.features for sample in lookup.CachedPictures(listed, cache)]

    crops = [processor(picture_rows.decode(row.path.read_bytes())) for row in listed]
    assert [one.shape for one in found] == [(3, 576, 64), (5, 576, 64)]
    assert all(torch.equal(one, tower.encode(pixels)) for one, pixels in zip(found, crops, strict=True))


def test_another_grid_of_crops_is_another_space_and_so_is_padding() -> None:
    padded = towers.open_tower(str(TOWER))

    spaces = {towers.space_of(*made) for made in (padded, anyres(WIDE), anyres(SQUARE), anyres((*WIDE, *SQUARE)))}

    assert len(spaces) == 4


def checkpoint(folder: Path, **config: object) -> str:
    """Return the name of a LLaVA checkpoint with the stand-in tower and no weights to speak of."""
    values = {"model_type": "llava", "mm_vision_tower": str(TOWER), **config}
    (folder / "config.json").write_text(json.dumps(values))
    save_file({"none": torch.zeros(1)}, folder / "model.safetensors")
    return str(folder)


def test_for_an_evaluation_a_next_checkpoint_s_pictures_are_padded_as_the_wrapper_pads_them(tmp_path: Path) -> None:
    name = checkpoint(tmp_path, image_aspect_ratio="anyres", image_grid_pinpoints=[list(one) for one in WIDE])
    picture = Image.linear_gradient("L").resize((600, 200))

    shapes = [towers.open_tower(name, for_evaluation=one)[1](picture).shape for one in (False, True)]

    assert shapes == [(3, 3, 336, 336), (3, 336, 336)]


def test_a_checkpoint_that_tells_its_tower_was_trained_is_refused(tmp_path: Path) -> None:
    name = checkpoint(tmp_path, unfreeze_mm_vision_tower=True)

    with pytest.raises(InputRefused, match="its tower was trained with it"):
        towers.open_tower(name)


@pytest.mark.filterwarnings("ignore:`resume_download` is deprecated:FutureWarning")  # transformers' own use of the hub
def test_llava_7b_and_13b_share_their_tower_s_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(ASSETS / "huggingface"))
    monkeypatch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(ASSETS / "huggingface"))
    names = ("liuhaotian/llava-v1.5-7b", "liuhaotian/llava-v1.5-13b", "openai/clip-vit-large-patch14-336")

    spaces = {towers.space_of(*towers.open_tower(name)) for name in names}

    assert len(spaces) == 1


@pytest.mark.parametrize("name", ["InternVL2-2B", "OpenGVLab/InternVL2-8B", "MiniCPM-V-2_6", "THUDM/cogvlm-chat-hf"])
def test_a_model_with_remote_code_is_refused_by_reason_for_images_and_for_prompts(name: str) -> None:
    for opened in (towers.open_tower, prompt_features.open_reader):
        with pytest.raises(InputRefused, match="its vision tower is remote code, and the feature cache is for CLIP"):
            opened(name)


def test_a_folder_of_neither_a_llava_nor_a_clip_model_is_refused_by_its_type(tmp_path: Path) -> None:
    name = checkpoint(tmp_path, model_type="minicpmv", mm_vision_tower=None)

    with pytest.raises(InputRefused, match="a minicpmv without a CLIP tower"):
        towers.open_tower(name)


@pytest.mark.parametrize(
    "command",
    [
        ["features", "build", "--model", "InternVL2-2B", "--images", "."],
        ["train head", "--prepare", "--set", "cache.model=InternVL2-2B"],
    ],
    ids=["features build", "train head"],
)
def test_the_commands_refuse_it_with_exit_4(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    drawn = ["--set", f"data.folder={tmp_path}/scenes", "--set", "data.episodes=4", "--set", "data.steps=1"]

    assert main([*command, *(drawn if "head" in command[0] else [])]) == 4
    assert "error: InternVL2-2B: its vision tower is remote code" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:`resume_download` is deprecated:FutureWarning")  # transformers' own use of the hub
def test_a_name_of_vlmevalkits_is_its_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(ASSETS / "huggingface"))
    monkeypatch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(ASSETS / "huggingface"))

    spaces = {towers.space_of(*towers.open_tower(name)) for name in ("7b", "llava_v1.5_7b", "liuhaotian/llava-v1.5-7b")}

    assert len(spaces) == 1
