"""LLaVA's train.py's command lines: a language model becomes a LLaVA-1.5, in LLaVA's two stages."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import training_fixture
from tiny_model import LLAVA_ROOT
from training_fixture import Box

from vldock.common.errors import InputRefused
from vldock.image.training import config as settings
from vldock.image.training import llava_arguments
from vldock.image.training.config import Config

SCRIPTS = json.loads((Path(__file__).parents[1] / "llava_scripts.json").read_text())
ORDER = ("pretrain", "finetune", "finetune_lora", "finetune_task")
QUICK = ["train.max_steps=2", "train.batch_size=2", "train.workers=0", "train.answer_tokens=2"]
FOUR = [
    "--model_name_or_path", "lmsys/vicuna-7b-v1.5", "--data_path", "data/llava_instruct.json",
    "--image_folder", "data/images", "--output_dir", "checkpoints/llava-7b-finetune",
]  # fmt: skip


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture(scope="module")
def workspace(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the published names in weights/: a Vicuna, a LLaVA-1.5 and CLIP's tower, all tiny; and data."""
    root = tmp_path_factory.mktemp("workspace")
    tower = root / "weights/openai/clip-vit-large-patch14-336"
    shutil.copytree(box.root / "tower", tower)
    box.altered(root / "weights/liuhaotian/llava-v1.5-13b", base="plain", mm_vision_tower=str(tower))
    for name in ("vicuna-7b-v1.5", "vicuna-13b-v1.5"):
        write_vicuna(box.root / "plain", root / "weights/lmsys" / name)
    write_data(root / "data/llava_instruct.json", root / "data/images", box)
    write_data(root / "playground/data/llava_v1_5_mix665k.json", root / "playground/data", box)
    captions = root / "playground/data/LLaVA-Pretrain"
    write_data(captions / "blip_laion_cc_sbu_558k.json", captions / "images", box, captions=True)
    return root


def write_vicuna(llava: Path, folder: Path) -> None:
    """Write a language model as lmsys/vicuna-7b-v1.5 is one: sampling settings that its config contradicts."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    kept = {k: v for k, v in json.loads((llava / "config.json").read_text()).items() if k in LlamaConfig().to_dict()}
    model = LlamaForCausalLM(LlamaConfig(**{**kept, "model_type": "llama", "architectures": None}))
    model.save_pretrained(folder)
    for path in llava.glob("*token*"):
        shutil.copy(path, folder)
    sampling = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0).to_dict()
    sampling |= {"temperature": 0.9, "top_p": 0.6, "max_length": 4096}
    (folder / "generation_config.json").write_text(json.dumps(sampling))


def write_data(path: Path, images: Path, box: Box, *, captions: bool = False) -> None:
    """Write LLaVA's JSON apart from its images; conversations have rows that are text only, as mix665k has."""
    images.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for at, picture in enumerate(sorted((box.root / "flowers/jpg").iterdir())[:6]):
        shutil.copy(picture, images / picture.name)
        said = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": f"A rose of kind {at}."}]
        rows.append({"id": str(at), "image": picture.name, "conversations": said})
    if not captions:
        talk = [{"from": "human", "value": "Name a flower."}, {"from": "gpt", "value": "A tulip."}]
        rows += [{"id": f"text-{at}", "conversations": talk} for at in range(2)]
    path.write_text(json.dumps(rows))


def train(workspace: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run LLaVA's workspace_train.py in a workspace, without a network."""
    door = LLAVA_ROOT / "llava/train/workspace_train.py"
    env = {**os.environ, "WORKSPACE_ROOT": str(workspace), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run([sys.executable, str(door), *argv], env=env, cwd=workspace, capture_output=True, text=True)


@pytest.fixture(scope="module")
def trained(workspace: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """The four published scripts, verbatim, one after the other: two steps, two rows each."""
    return {script: train(workspace, *SCRIPTS[script], *QUICK) for script in ORDER}


@pytest.mark.parametrize("script", ORDER)
def test_a_published_script_trains_as_it_stands(
    trained: dict[str, subprocess.CompletedProcess[str]], script: str
) -> None:
    done = trained[script]

    assert done.returncode == 0, done.stderr
    assert "exported and loaded" in done.stderr
    assert "2 steps" in done.stdout
