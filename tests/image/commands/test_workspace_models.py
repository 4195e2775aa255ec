"""Models and tower by name, from the workspace or the one cache; adapters on their base."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_model import LLAVA_ROOT, REPO, REVISION, TOWER, Bench, python_path

pytest_plugins = ["bench_fixture"]
# One process, for each import of LLaVA costs seconds: it saves an adapter of the tiny model, merges it, and loads all.
SCRIPT = """
import json, os, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import torch
from llava.model.workspace_builder import load_pretrained_model_workspace as load
from llava.model.multimodal_encoder.workspace_clip_encoder import WorkspaceCLIPVisionTower, build_workspace_vision_tower
from peft import LoraConfig, get_peft_model

root, repo, tower_name = Path(os.environ["WORKSPACE_ROOT"]), sys.argv[1], sys.argv[2]
ids = torch.tensor([[1, 5, 7, 9]])

def logits(model):
    return model(input_ids=ids).logits

seen = {}
for name in (repo, "7b", "attempt-3", "models/attempt-3"):
    tokenizer, model, processor, length = load(name, None, None, device="cpu")
    seen[name] = [type(model).__name__, type(processor).__name__, str(model.dtype), len(tokenizer) > 0, length]

torch.manual_seed(0)
wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
wrapped.peft_config["default"].base_model_name_or_path = repo
adapter = root / "weights" / "run"
wrapped.save_pretrained(adapter)
model.config.save_pretrained(adapter)
projector = {f"base_model.model.{k}": v for k, v in model.state_dict().items() if "mm_projector" in k}
torch.save(projector, adapter / "non_lora_trainables.bin")
wanted = logits(wrapped.merge_and_unload())
seen["adapter"] = [
    torch.allclose(logits(load("run", base, device="cpu")[1]), wanted, atol=1e-5) for base in (None, "attempt-3")
]
seen["differs"] = not torch.allclose(logits(load(repo, device="cpu")[1]), wanted, atol=1e-3)

tower = WorkspaceCLIPVisionTower(tower_name)
side = tower.config.image_size
images = torch.rand(2, 3, side, side)
theirs = load(repo, device="cpu")[1].get_vision_tower()
seen["tower"] = [tower.place.revision, torch.equal(tower(images), theirs(images)), list(tower(images).shape)]
seen["built"] = build_workspace_vision_tower(model.config).place.path == tower.place.path
print(json.dumps(seen))
"""


def workspace_of(bench: Bench, root: Path) -> dict[str, str]:
    """Put the tiny model into models/attempt-3 of a workspace and return an offline environment."""
    snapshot = bench.cache / f"models--{REPO.replace('/', '--')}" / "snapshots" / REVISION
    shutil.copytree(snapshot, root / "models" / "attempt-3")
    return bench.env(WORKSPACE_ROOT=str(root), PYTHONPATH=python_path(LLAVA_ROOT), TRANSFORMERS_OFFLINE="1")


def python(code: str, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def loaded(bench_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Output of SCRIPT, and its standard error."""
    bench = Bench(bench_template, bench_template / "cache")
    done = python(SCRIPT, REPO, TOWER, env=workspace_of(bench, tmp_path_factory.mktemp("ws")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("name", [REPO, "7b", "attempt-3", "models/attempt-3"])
def test_a_name_loads_what_load_pretrained_model_returns(loaded: tuple[dict[str, Any], str], name: str) -> None:
    assert loaded[0][name] == ["LlavaLlamaForCausalLM", "CLIPImageProcessor", "torch.float32", True, 2048]


def test_the_place_that_was_chosen_is_said(loaded: tuple[dict[str, Any], str]) -> None:
    assert f"workspace: {REPO}: the cache, revision {REVISION[:12]}" in loaded[1]
    assert "workspace: attempt-3: models/ of the workspace" in loaded[1]


def test_an_adapter_is_merged_into_its_base_named_or_given(loaded: tuple[dict[str, Any], str]) -> None:
    assert loaded[0]["adapter"] == [True, True]
    assert loaded[0]["differs"] is True


def test_the_tower_comes_from_the_cache_and_gives_llavas_features(loaded: tuple[dict[str, Any], str]) -> None:
    revision, equal, shape = loaded[0]["tower"]

    assert (revision, equal, loaded[0]["built"]) == (REVISION, True, True)
    assert shape[:2] == [2, 4]  # 28 pixels in patches of 14


def test_a_folder_that_is_cut_is_refused_by_file(bench_template: Path, tmp_path: Path) -> None:
    env = workspace_of(Bench(bench_template, bench_template / "cache"), tmp_path / "ws")
    (shard,) = (tmp_path / "ws/models/attempt-3").glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-1000])
    code = "from vldock.image.workspace.model_location import *; require_whole(resolve('attempt-3'))"

    done = python(code, env=env)

    assert done.returncode == 1
    assert f"{shard.name}: " in done.stderr.splitlines()[-1]


def test_the_doors_are_in_llavas_tree() -> None:
    doors = ("model/workspace_builder.py", "model/multimodal_encoder/workspace_clip_encoder.py")

    assert all((LLAVA_ROOT / "llava" / door).is_file() for door in (*doors, "train/workspace_train.py"))
