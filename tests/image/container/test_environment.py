"""The container's environment: one cache root, nothing to compile with, bytecode in place, a name for any user."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from conftest import FreshPython

from vldock.common.cache_env import CACHE_ENV, CACHE_ROOT
from vldock.common.image_paths import CONSTRAINTS, LOCK

pytestmark = pytest.mark.layout

COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "make", "ninja", "cmake", "nvcc", "ld", "as")
FORBIDDEN = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")


@pytest.mark.parametrize("name", CACHE_ENV)
def test_the_cache_variable_is_as_declared(name: str) -> None:
    assert os.environ[name] == CACHE_ENV[name]


def test_the_data_folder_is_below_workspace() -> None:
    assert os.environ["LMUData"] == "/workspace/LMUData"  # noqa: SIM112 - VLMEvalKit's own name


@pytest.mark.parametrize("folder", ["outputs", "LMUData", ".cache"])
def test_any_user_may_write_there(folder: str) -> None:
    assert stat.S_IMODE(Path("/workspace", folder).stat().st_mode) & 0o777 == 0o777


def test_libraries_agree_on_the_cache(fresh_python: FreshPython) -> None:
    code = """
import datasets, huggingface_hub.constants as hub, matplotlib, torch
from transformers.utils.hub import TRANSFORMERS_CACHE
print(hub.HF_HUB_CACHE, TRANSFORMERS_CACHE, datasets.config.HF_DATASETS_CACHE)
print(torch.hub.get_dir(), matplotlib.get_cachedir())
"""
    done = fresh_python(code)

    assert done.returncode == 0, done.stderr
    assert all(Path(path).is_relative_to(CACHE_ROOT) for path in done.stdout.split())


def test_both_names_of_the_cache_root_are_one_folder() -> None:
    assert Path("/workspace/cache").resolve() == Path(CACHE_ROOT).resolve()


@pytest.mark.parametrize(
    "door", ["LLaVA/setup_workspace_cache.py", "setup_workspace_cache.py", "predict.py", "scripts/evaluate_model.py"]
)
def test_the_door_opens_where_the_documents_say(door: str) -> None:
    done = subprocess.run([sys.executable, f"/workspace/{door}", "--help"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout[:6]) == (0, "usage:")


def test_the_entrypoint_is_named_in_the_workspace() -> None:
    assert Path("/workspace/entrypoint.sh").resolve() == Path("/usr/local/bin/entrypoint.sh")


def test_a_hf_home_given_to_any_python_moves_what_is_below_it(fresh_python: FreshPython) -> None:
    code = "import datasets, os; print(datasets.config.HF_DATASETS_CACHE, os.environ['TRANSFORMERS_CACHE'])"

    done = fresh_python(code, environ={"HF_HOME": "/tmp/h"})

    assert done.stdout.split() == ["/tmp/h/datasets", "/tmp/h/hub"]


@pytest.mark.parametrize("program", COMPILERS)
def test_the_image_has_no_compiler(program: str) -> None:
    assert shutil.which(program) is None


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_secret_and_no_index_is_baked_in(name: str) -> None:
    assert name not in os.environ


def test_pip_left_no_cache() -> None:
    assert not any(Path(folder).exists() for folder in ("/root/.cache/pip", CACHE_ENV["PIP_CACHE_DIR"]))


@pytest.mark.parametrize("package", ["torch", "transformers", "pandas", "triton"])
def test_the_bytecode_of_the_venv_is_compiled_and_unchecked(package: str) -> None:
    compiled = Path(
        str(distribution(package).locate_file(package)), "__pycache__", "__init__.cpython-311.pyc"
    ).read_bytes()

    assert int.from_bytes(compiled[4:8], "little") == 0b01  # PEP 552: hash-based, unchecked


def test_the_constraints_are_the_lock(locked: dict[str, str]) -> None:
    lines = Path(CONSTRAINTS).read_text(encoding="utf-8").split()

    assert os.environ["PIP_CONSTRAINT"] == CONSTRAINTS
    assert {line.lower().replace("_", "-") for line in lines} == {
        f"{name}=={version}" for name, version in locked.items()
    }
    assert Path(LOCK).is_file()


def test_an_unknown_user_has_a_name(fresh_python: FreshPython) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    code = """
import getpass, os
os.setgid(54321); os.setuid(54321)
from vldock.common import preflight
preflight.apply(os.environ)
print(getpass.getuser())
"""

    done = fresh_python(code)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
