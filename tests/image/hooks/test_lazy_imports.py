"""Lazy imports: nothing heavy for a LLaVA run, and the same names, classes and benchmarks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import FreshPython

from vldock.image.process import lazy_imports
from vldock.image.standin.manifest import ASSETS
from vldock.image.vlmeval_hooks.models import benchmark_index

FACTS = Path(__file__).parents[1] / "import_facts.py"
# What upstream imports at the start of each run, and a LLaVA evaluated on our benchmarks never uses.
HEAVY = (
    *("nltk", "scipy", "sklearn", "openai", "jieba", "pkg_resources", "math_verify", "latex2sympy2_extended"),
    *("torchvision", "cv2", "decord", "datasets", "aiohttp", "pydantic", "bitsandbytes.nn", "triton", "peft"),
    *("vlmeval.vlm.qwen2_vl", "vlmeval.vlm.internvl", "vlmeval.dataset.foxbench", "vlmeval.dataset.hipho"),
    *("vlmeval.dataset.dude", "vlmeval.api.gemini"),
)
RUN = """
import json, os, sys
from vldock.image.run_py import main
status = main([*os.environ["ARGUMENTS"].split(), "--work-dir", os.environ["FOLDER"]])
modules = sorted(sys.modules)
import bitsandbytes
print(json.dumps({"status": status, "modules": modules, "late": bitsandbytes.nn.Linear8bitLt.__module__}))
"""
BREAK = """
import sys

class Broken:
    def find_spec(self, name, path, target=None):
        if name == "vlmeval.vlm.aria":
            raise AttributeError("libaria.so.1: cannot open shared object file")

sys.meta_path.insert(0, Broken())
"""
IMPORTED = """
import multiprocessing, pickle
import torch, vlmeval.run
from PIL import Image
state = torch.get_rng_state().tolist()
torch.manual_seed(1234)
print(torch.is_grad_enabled(), state == torch.get_rng_state().tolist(), Image.MAX_IMAGE_PIXELS)

from vlmeval.config import supported_VLM
from vlmeval.dataset import ImageVQADataset
factory = supported_VLM["llava_v1.5_7b"]
print(pickle.loads(pickle.dumps(factory)))
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(*pool.map(repr, [ImageVQADataset, factory.func, factory]), sep="\\n")
"""


def import_facts_of(*, eager: bool, names: str = "") -> dict[str, Any]:
    """Return import_facts of a fresh process."""
    environment = {
        **os.environ,
        lazy_imports.VARIABLE: str(int(eager)),
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, str(FACTS)]
    done = subprocess.run(command, env=environment, input=names, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


@pytest.fixture(scope="module")
def upstream() -> dict[str, Any]:
    """Facts of a process with eager imports."""
    return import_facts_of(eager=True)


@pytest.fixture(scope="module")
def lazy(upstream: dict[str, Any]) -> dict[str, Any]:
    """Facts of a process that imported only run.py, under upstream's names."""
    return import_facts_of(eager=False, names=json.dumps(upstream))


@pytest.mark.parametrize("package", ["vlmeval", *(f"vlmeval.{name}" for name in ("vlm", "api", "dataset", "config"))])
def test_every_name_is_the_same_object(upstream: dict[str, Any], lazy: dict[str, Any], package: str) -> None:
    seen, expected = lazy[package], upstream[package]

    assert expected
    assert {name: seen[name] for name in expected if seen[name] != expected[name]} == {}


def test_a_star_import_binds_the_same_names(upstream: dict[str, Any], lazy: dict[str, Any]) -> None:
    assert lazy["starred"] == upstream["starred"]


def test_every_benchmark_is_built_by_the_same_class(upstream: dict[str, Any], lazy: dict[str, Any]) -> None:
    assert len(upstream["benchmarks"]) > 700
    assert lazy["benchmarks"] == upstream["benchmarks"]


def test_every_model_is_a_factory_of_the_real_class(lazy: dict[str, Any]) -> None:
    models = lazy["vlmeval.config"]["supported_VLM"]

    assert len(models) == 545
    assert {(factory[0], factory[1][0], factory[1][3]) for factory in models.values()} == {
        ("partial", "class", "itself")
    }


def test_the_index_is_of_the_sources_that_are_here() -> None:
    assert benchmark_index.classes() is not None


def test_a_llava_run_imports_nothing_it_does_not_use(fresh_python: FreshPython, tmp_path: Path) -> None:
    arguments = "--model llava_v1.5_7b --data POPE MMBench_DEV_EN MMMU_DEV_VAL OCRBench VizWiz"
    environ = {"VLDOCK_STANDIN": "1", "VLMEVAL_SAMPLE_LIMIT": "1", "ARGUMENTS": arguments, "FOLDER": str(tmp_path)}

    done = fresh_python(RUN, environ=environ)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["status"] == 0, done.stderr
    assert [name for name in HEAVY if name in seen["modules"]] == []
    assert seen["late"] == "bitsandbytes.nn.modules"  # and it is there for whoever reads it


def test_a_model_that_cannot_be_imported_says_why(fresh_python: FreshPython, tmp_path: Path) -> None:
    table = Path(shutil.copy(ASSETS / "LMUData" / "POPE.tsv", tmp_path))
    environ = {"LMUData": str(tmp_path), "ARGUMENTS": "--model Aria --data POPE", "FOLDER": str(tmp_path / "out")}
    environ["VLDOCK_ACCEPT_MD5"] = f"POPE={hashlib.md5(table.read_bytes()).hexdigest()}"

    done = fresh_python(BREAK + RUN, environ=environ)

    assert json.loads(done.stdout.splitlines()[-1])["status"] == 1
    failed = [line for line in done.stderr.splitlines() if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "libaria.so.1: cannot open shared object file" in failed[0]


@pytest.fixture(scope="module")
def imported(fresh_python: FreshPython) -> list[str]:
    """Output of a process that imported VLMEvalKit.

    Its state, then a model and a benchmark sent to another process.
    """
    done = fresh_python(IMPORTED)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_importing_does_to_the_process_is_as_upstream(imported: list[str]) -> None:
    gradients, seeded, pixels = imported[0].split()

    assert (gradients, seeded, pixels) == ("False", "True", "1000000000.0")


def test_models_and_benchmarks_travel_to_another_process(imported: list[str]) -> None:
    _, factory, benchmark, model, again = imported

    assert benchmark == "<class 'vlmeval.dataset.image_vqa.ImageVQADataset'>"
    assert model == "<class 'vlmeval.vlm.llava.llava.LLaVA'>"
    assert factory.startswith(f"functools.partial({model}, ")
    assert factory == again
