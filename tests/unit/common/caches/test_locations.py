"""Where a container finds its models: the user's HF_HOME, and every layout of a cache it cannot write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vldock.common.cache_env import CACHE_ENV
from vldock.common.caches import links, locations
from vldock.common.filesystem.permissions import Identity

ME = Identity(os.geteuid(), os.getegid(), None)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No link can be made, nothing below HF_HOME be written."""
    monkeypatch.setattr(locations, "can_write", lambda path: False)


def put(folder: Path, name: str) -> None:
    (folder / name / "snapshots").mkdir(parents=True)


@pytest.mark.parametrize(
    ("environ", "moved"),
    [({}, "/x/datasets"), ({"HF_HOME": "/mine"}, "/mine/datasets")],
    ids=["of .env", "of -e, which beats .env"],
)
def test_hf_home_of_the_env_file_moves_what_is_below_it(tmp_path: Path, environ: dict[str, str], moved: str) -> None:
    (tmp_path / ".env").write_text("HF_TOKEN=t\nHF_HOME=/x\n")

    values = locations.user_variables({**CACHE_ENV, **environ}, [str(tmp_path / ".env")])

    assert values["HF_DATASETS_CACHE"] == moved
    assert "HF_TOKEN" not in values


@pytest.mark.parametrize("content", [None, b"HF_HOME=\xff\xfe", b"HF_HOME="], ids=["absent", "not UTF-8", "empty"])
def test_an_env_file_without_a_value_changes_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / ".env").write_bytes(content)

    assert locations.user_variables(CACHE_ENV, [str(tmp_path / ".env")]) == {}


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize(("filled", "asked"), [("hub", ""), ("", "hub"), ("transformers", "hub")])
def test_a_read_only_cache_is_read_where_its_models_are(tmp_path: Path, filled: str, asked: str) -> None:
    put(tmp_path / filled, "models--o--n")
    environ = {"HF_HOME": str(tmp_path), "HUGGINGFACE_HUB_CACHE": str(tmp_path / asked), "TRANSFORMERS_CACHE": "/mine"}

    values, _ = locations.find_views(environ, ME)

    assert values == {"HUGGINGFACE_HUB_CACHE": str(tmp_path / filled)}


@pytest.mark.usefixtures("read_only")
def test_a_read_only_cache_of_two_layouts_is_shown_by_links(tmp_path: Path) -> None:
    put(tmp_path / "cache/hub", "models--o--a")
    put(tmp_path / "cache", "models--o--b")
    environ = {"HF_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}

    values, notes = locations.find_views(environ, ME)

    assert links.list_repositories(Path(values["TRANSFORMERS_CACHE"])) == {"models--o--a", "models--o--b"}
    assert "lost with the container" in notes[0]


@pytest.mark.parametrize(("hub", "linked"), [("hub", False), ("", True)])
def test_the_user_s_own_hf_home_is_linked_only_where_a_model_would_be_missed(
    tmp_path: Path, hub: str, linked: bool
) -> None:
    put(tmp_path / "hub", "models--o--n")
    places = dict.fromkeys(("HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"), str(tmp_path / hub))

    locations.join({"HF_HOME": str(tmp_path), **places})

    assert (tmp_path / "models--o--n").is_symlink() is linked
