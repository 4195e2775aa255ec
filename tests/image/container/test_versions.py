"""Installed distributions equal the locked ones."""

from __future__ import annotations

import json
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path
from urllib.parse import urlparse

import pytest
from conftest import locked_names

from vldock.image.build.prove import normalise

TEST_ONLY = {"pytest", "pytest-timeout", "pluggy", "iniconfig", "packaging", "pygments"}
EDITABLE = {"llava-torch": ("llava", "/workspace/LLaVA"), "ms-vlmeval": ("vlmeval", "/workspace/VLMEvalKit")}


@pytest.mark.layout
@pytest.mark.parametrize("name", locked_names())
def test_the_installed_version_is_the_locked_one(name: str, locked: dict[str, str]) -> None:
    assert distribution(name).version == locked[name]


@pytest.mark.layout
def test_nothing_is_installed_that_is_not_locked(locked: dict[str, str]) -> None:
    site = "/opt/venv/lib/python3.11/site-packages"
    installed = {normalise(dist.name) for dist in distributions(path=[site])}

    assert installed - set(locked) == set()


def test_python_is_3_11() -> None:
    assert sys.version_info[:2] == (3, 11)


@pytest.mark.parametrize(
    ("name", "version"),
    [("torch", "2.1.2"), ("transformers", "4.37.2"), ("llava-torch", "1.2.2.post1"), ("ms-vlmeval", "0.0.20")],
)
def test_the_lock_holds_the_versions_the_image_is_named_after(name: str, version: str, locked: dict[str, str]) -> None:
    assert locked[name] == version


@pytest.mark.layout
@pytest.mark.parametrize("name", EDITABLE)
def test_the_package_is_editable_where_the_user_expects_it(name: str) -> None:
    package, folder = EDITABLE[name]
    recorded = json.loads(distribution(name).read_text("direct_url.json") or "{}")

    spec = __import__("importlib.util", fromlist=["util"]).find_spec(package)

    assert recorded["dir_info"] == {"editable": True}
    assert urlparse(recorded["url"]).path == folder
    assert spec is not None
    assert Path(str(spec.origin)).parent == Path(folder, package)


@pytest.mark.layout
def test_an_edit_under_workspace_takes_effect() -> None:
    """Bytecode there is checked against its source, unlike that of the venv."""
    compiled = Path("/workspace/LLaVA/llava/__pycache__/constants.cpython-311.pyc").read_bytes()

    assert int.from_bytes(compiled[4:8], "little") == 0b11  # PEP 552: hash-based, checked
