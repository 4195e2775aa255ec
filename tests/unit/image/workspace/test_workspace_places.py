"""Locations of a name's weights, in order, and the name LLaVA's builder is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.image.workspace import model_location, naming
from vldock.image.workspace.model_location import ModelLocation

REPO, COMMIT = "liuhaotian/llava-v1.5-7b", "a" * 40


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of an offline process in an empty workspace."""
    monkeypatch.chdir(tmp_path)
    values = {"WORKSPACE_ROOT": str(tmp_path), "TRANSFORMERS_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def model(folder: Path, **config: Any) -> Path:
    """Write a folder with a model's files."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llava"} | config))
    (folder / "mm_projector.pt").write_bytes(b"\x80\x02x")
    return folder


def in_cache(root: Path, commit: str = COMMIT) -> Path:
    repo = root / "hub" / "models--liuhaotian--llava-v1.5-7b"
    (repo / "refs").mkdir(parents=True, exist_ok=True)
    (repo / "refs" / "main").write_text(commit)
    return model(repo / "snapshots" / commit)


def test_weights_come_before_models_and_models_before_the_cache(environ: dict[str, str], tmp_path: Path) -> None:
    seen = []
    for make in (lambda: in_cache(tmp_path), lambda: model(tmp_path / "models/llava-v1.5-7b")):
        make()
        seen.append(model_location.resolve(REPO, environ).path)
    model(tmp_path / "weights/llava-v1.5-7b")
    seen.append(model_location.resolve("7b", environ).path)

    assert [path.removeprefix(f"{tmp_path}/") for path in seen] == [
        f"hub/models--liuhaotian--llava-v1.5-7b/snapshots/{COMMIT}",
        "models/llava-v1.5-7b",
        "weights/llava-v1.5-7b",
    ]


@pytest.mark.parametrize("name", ["7b", "llava_v1.5_7b", REPO])
def test_every_name_of_a_model_finds_its_snapshot(environ: dict[str, str], tmp_path: Path, name: str) -> None:
    in_cache(tmp_path)

    place = model_location.resolve(name, environ)

    assert (place.revision, place.repo, place.local) == (COMMIT, REPO, True)
    assert f"the cache, revision {COMMIT[:12]}" in str(place)


def test_a_snapshot_a_folder_and_a_checkpoint_are_taken_as_they_are(environ: dict[str, str], tmp_path: Path) -> None:
    snapshot, mine = in_cache(tmp_path), model(tmp_path / "somewhere/run-3")
    model(tmp_path / "checkpoints/run/best")

    found = [
        model_location.resolve(name, environ) for name in (str(snapshot), "./somewhere/run-3", "checkpoints/run/best")
    ]

    assert [place.path for place in found] == [str(snapshot), str(mine), str(tmp_path / "checkpoints/run/best")]
    assert (found[0].repo, found[0].revision) == (REPO, COMMIT)


def test_a_model_vlmevalkit_knows_is_told_from_ones_own(environ: dict[str, str], tmp_path: Path) -> None:
    in_cache(tmp_path)
    model(tmp_path / "models/mine")

    found = [model_location.resolve(name, environ) for name in ("7b", REPO, "mine", str(tmp_path / "models/mine"))]

    assert [place.declared for place in found] == [True, True, False, False]
    assert [naming.is_llava(place) for place in found] == [True] * 4


def test_a_locked_revision_comes_before_the_one_of_refs_main(environ: dict[str, str], tmp_path: Path) -> None:
    in_cache(tmp_path, "b" * 40)
    in_cache(tmp_path)

    assert model_location.find_cached(REPO, environ, revision="b" * 40).revision == "b" * 40
    assert model_location.find_cached(REPO, environ, revision="c" * 40).revision == COMMIT


def test_what_is_nowhere_offline_is_an_error_that_says_how_to_fetch_it(environ: dict[str, str]) -> None:
    with pytest.raises(EnvironmentUnfit) as caught:
        model_location.resolve("7b", environ)

    assert f"vldock fetch weights {REPO}" in caught.value.render()


def test_online_it_is_left_to_the_hub_and_the_one_cache(environ: dict[str, str], tmp_path: Path) -> None:
    place = model_location.resolve("7b", environ | {"HF_HUB_OFFLINE": "0"})

    assert (place.path, place.local) == (REPO, False)
    assert str(tmp_path / "hub") in place.where


@pytest.mark.parametrize("name", ["nothing", "weights/nothing", "./nothing", "a/b/c"])
def test_a_name_that_means_nothing_lists_what_there_is(environ: dict[str, str], tmp_path: Path, name: str) -> None:
    model(tmp_path / "weights/mine")

    with pytest.raises(UsageError) as caught:
        model_location.resolve(name, environ)

    assert name in caught.value.message


def test_weights_that_are_not_whole_are_refused_by_file(environ: dict[str, str], tmp_path: Path) -> None:
    folder = model(tmp_path / "weights/mine")
    (folder / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "pytorch_model-1.bin"}}')

    with pytest.raises(InputRefused, match=r"pytorch_model-1\.bin: is not there"):
        model_location.require_whole(model_location.resolve("mine", environ))


def test_a_tower_that_is_not_in_the_cache_is_told_before_anything_is_loaded(
    environ: dict[str, str], tmp_path: Path
) -> None:
    model(tmp_path / "weights/mine", mm_vision_tower="openai/clip-vit-large-patch14-336")

    with pytest.raises(EnvironmentUnfit, match="clip-vit-large-patch14-336 is not in the cache"):
        model_location.require_whole(model_location.resolve("mine", environ))


def test_an_adapter_without_its_projector_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    (model(tmp_path / "weights/mine") / "adapter_config.json").write_text("{}")

    with pytest.raises(InputRefused, match="non_lora_trainables"):
        model_location.require_whole(model_location.resolve("mine", environ))


@pytest.mark.parametrize(
    ("folder", "config", "name"),
    [
        (COMMIT, {"model_type": "llava"}, "llava-llama"),
        ("attempt-3", {"model_type": "llava_llama"}, "llava-llama"),
        ("mistral-lora", {"model_type": "llava"}, "llava-llama"),
        ("run", {"model_type": "llava_mistral"}, "llava-mistral"),
        ("run", {"model_type": "mpt", "mm_projector_type": "linear"}, "llava-mpt"),
        ("sharegpt", {"model_type": "share4v", "mm_vision_tower": "x"}, "llava-llama"),
        ("my-llava-attempt", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "llama"),
    ],
)
def test_the_config_and_not_the_folder_names_the_class(
    tmp_path: Path, folder: str, config: dict[str, str], name: str
) -> None:
    model(tmp_path / folder, **config)

    assert naming.model_name(ModelLocation("x", str(tmp_path / folder), "here"), fallback="wrong-mpt") == name


def test_an_adapter_says_so_and_names_its_base(tmp_path: Path) -> None:
    folder = model(tmp_path / "run")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "lmsys/vicuna-7b-v1.5"}')
    place = ModelLocation("x", str(folder), "here")

    assert (naming.model_name(place), naming.named_base(place)) == ("llava-llama-lora", "lmsys/vicuna-7b-v1.5")


def test_a_projector_alone_needs_a_base_and_a_whole_model_does_not(tmp_path: Path) -> None:
    part, whole = model(tmp_path / "part"), model(tmp_path / "whole")
    for folder in (part, whole):
        (folder / "mm_projector.bin").write_bytes(b"x")
    (whole / "pytorch_model-00001-of-00002.bin").write_bytes(b"x")

    assert [naming.needs_base(ModelLocation("x", str(folder), "")) for folder in (part, whole)] == [True, False]
