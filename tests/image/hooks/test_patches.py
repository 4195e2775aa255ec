"""Patches in this image are applied, whole, and effective for LLaVA."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tiny_model import LLAVA_ROOT, PATCHES, REPO, REVISION, TOWER, VLMEVAL_ROOT, Bench, python_path

from vldock.common.errors import InputRefused
from vldock.image.llava_hooks import loading

pytest_plugins = ["bench_fixture"]
LANGUAGE_MODELS = ("llava_llama", "llava_mpt", "llava_mistral")
LOAD = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from llava.mm_utils import get_model_name_from_path
from llava.model.builder import load_pretrained_model
path, options = sys.argv[1], json.loads(sys.argv[2])
_, model, processor, _ = load_pretrained_model(path, None, get_model_name_from_path(path), **options)
tower, projector = model.get_vision_tower(), next(model.get_model().mm_projector.parameters())
print(json.dumps({
    "class": type(model).__name__, "attention": model.config._attn_implementation, "processor": processor is not None,
    "dtypes": sorted({str(x.dtype) for x in (model, tower, projector)}), "device": str(tower.device),
}))
"""


def python(code: str, *arguments: str, roots: tuple[Path, ...] = (LLAVA_ROOT,), **env: str) -> CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": python_path(*roots), **env}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def patch(name: str, *arguments: str) -> CompletedProcess[str]:
    command = [sys.executable, str(PATCHES / f"{name}.py"), *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": python_path()}, capture_output=True, text=True)


def load(bench: Bench, path: str, **options: object) -> dict[str, object]:
    done = python(LOAD, path, json.dumps(options), **bench.env())
    assert done.returncode == 0, done.stderr
    seen: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.fixture
def llava(tmp_path: Path) -> Path:
    """A copy of the patched LLaVA, to be broken by tests."""
    shutil.copytree(LLAVA_ROOT / "llava", tmp_path / "llava", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_patch_is_applied() -> None:
    done = patch("apply_all", "--llava", str(LLAVA_ROOT), "--vlmeval", str(VLMEVAL_ROOT), "--check", "--json")

    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["patches"].values()) == {"applied"}


def test_patches_applied_in_reverse_order_give_the_same_files() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(PATCHES)!r})
import registry
from pathlib import Path
from patchlib import read_text, redo, sha256_text, undo
roots = {{"llava-torch": Path({str(LLAVA_ROOT)!r}), "ms-vlmeval": Path({str(VLMEVAL_ROOT)!r})}}
for package in {{patch.package.dist: patch.package for patch in registry.ALL}}.values():
    for path, original in package.originals.items():
        patches = [patch for patch in registry.ALL if patch.package is package and path in patch.edits]
        text = now = read_text(roots[package.dist] / path)
        for patch in reversed(patches):
            text = undo(patch.edits[path], text)
        assert sha256_text(text) == original, path
        for patch in reversed(patches):
            text = redo(patch, path, text)
        assert text == now, path
"""
    done = python(code)

    assert done.returncode == 0, done.stderr


def test_a_changed_builder_is_refused_and_left_alone(llava: Path) -> None:
    builder = llava / "llava/model/builder.py"
    builder.write_text(builder.read_text() + "# mine\n")

    done = patch("patch_llava_builder", "--root", str(llava), "--no-verify")

    assert done.returncode == 4
    assert "llava/model/builder.py" in done.stderr
    assert "llava-torch==1.2.2.post1" in done.stderr
    assert builder.read_text().endswith("# mine\n")


@pytest.mark.parametrize("module", LANGUAGE_MODELS)
def test_an_import_failure_inside_llava_shows_its_real_cause(llava: Path, module: str) -> None:
    source = llava / "llava/model/language_model" / f"{module}.py"
    source.write_text('raise RuntimeError("broken on purpose")\n')

    done = python("import llava", roots=(llava,))

    assert done.returncode == 1
    assert done.stderr.strip().endswith("RuntimeError: broken on purpose")
    assert "cannot import name" not in done.stderr


def test_a_torch_that_cannot_be_imported_is_what_llava_tells(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text('raise ImportError("libcublas.so.12: cannot open shared object file")\n')

    done = python("import llava", roots=(tmp_path, LLAVA_ROOT))

    assert done.returncode == 1
    assert "libcublas.so.12: cannot open shared object file" in done.stderr.splitlines()[-1]


def test_import_llava_imports_the_model() -> None:
    done = python("import llava; print(llava.LlavaLlamaForCausalLM.__name__)")

    assert done.stdout.strip() == "LlavaLlamaForCausalLM", done.stderr


@pytest.mark.parametrize("verifier", ["verify_llava", "verify_vlmeval"])
def test_the_patched_package_works_in_a_fresh_process(verifier: str) -> None:
    done = python((PATCHES / f"{verifier}.py").read_text(), roots=(LLAVA_ROOT, VLMEVAL_ROOT))

    assert done.returncode == 0, done.stderr
    assert "verified" in done.stdout


def test_a_hub_id_a_snapshot_and_a_folder_of_any_name_load_as_llava(bench: Bench, tmp_path: Path) -> None:
    snapshot = bench.cache / f"models--{REPO.replace('/', '--')}" / "snapshots" / REVISION
    folder = Path(shutil.copytree(snapshot, tmp_path / "attempt-3"))
    wanted = {"class": "LlavaLlamaForCausalLM", "attention": "sdpa", "processor": True}
    wanted |= {"dtypes": ["torch.float32"], "device": "cpu"}

    seen = [load(bench, path) for path in (REPO, str(snapshot), str(folder))]

    assert seen == [wanted] * 3


def test_dtype_and_attention_are_the_callers_where_it_chose(bench: Bench) -> None:
    seen = load(bench, REPO, device="cpu", torch_dtype="bfloat16", attn_implementation="eager")

    assert (seen["dtypes"], seen["attention"]) == (["torch.bfloat16"], "eager")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/c/models--liuhaotian--llava-v1.5-7b/snapshots/abc", "llava-v1.5-7b"),
        ("/out/llava-run/checkpoint-20", "checkpoint-20"),
        ("/models/mine", "mine"),
    ],
)
def test_a_snapshot_path_gives_the_repositorys_name(path: str, name: str) -> None:
    assert loading.strip_snapshot(path.strip("/").split("/"))[-1] == name


@pytest.mark.parametrize(
    ("model_type", "folder", "branch"),
    [
        ("llava", "run-3", "llava-llama"),
        ("llava_llama", "attempt", "llava-llama"),
        ("llava_mistral", "mine", "llava-mistral"),
        ("llava_mpt", "mine", "llava-mpt"),
        ("llama", "vicuna", "vicuna"),
    ],
)
def test_the_checkpoints_config_picks_the_class(tmp_path: Path, model_type: str, folder: str, branch: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "config.json").write_text(json.dumps({"model_type": model_type}))

    assert loading.branch_name(str(tmp_path / folder), folder) == branch


def test_a_checkpoint_in_transformers_own_format_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(InputRefused, match="native format"):
        loading.branch_name(str(tmp_path), "llava-1.5-7b-hf")


@pytest.mark.parametrize("model_type", ["clip", "clip_vision_model"])
def test_a_clip_tower_of_any_name_is_accepted(tmp_path: Path, model_type: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))

    loading.require_clip(str(tmp_path))


def test_a_local_tower_that_is_not_clip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    code = "import sys; from llava.model.multimodal_encoder.builder import build_vision_tower as build\n"
    code += "from types import SimpleNamespace as N\nbuild(N(mm_vision_tower=sys.argv[1], mm_vision_select_layer=-2))"

    done = python(code, str(tmp_path))

    assert done.returncode == 1
    assert "is of type 'siglip'" in done.stderr


def test_a_hub_tower_of_another_organisation_loads(bench: Bench) -> None:
    other = "somebody/clip-tower"
    folders = [bench.cache / f"models--{name.replace('/', '--')}" for name in (TOWER, other)]
    shutil.copytree(*folders, dirs_exist_ok=True)
    code = "import sys; from llava.model.multimodal_encoder.builder import build_vision_tower as build\n"
    code += "from types import SimpleNamespace as N\n"
    code += "print(build(N(mm_vision_tower=sys.argv[1], mm_vision_select_layer=-2)).vision_tower.dtype)"

    done = python(code, other, **bench.env())

    assert done.stdout.strip() == "torch.float32", done.stderr
