"""The feature cache behind the batched engine: no answer moves, no tower runs twice, no fault ends a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_wrapper
import torch

from vldock.common.inference_options import BATCHED
from vldock.image.answering.types import Question
from vldock.image.engines import disk_features
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore
from vldock.image.features import build, for_evaluation, fsck, picture_rows, shards, towers
from vldock.image.features.cache import FeatureCache

pytestmark = [  # of the wrapper's own settings, and of transformers about them
    pytest.mark.filterwarnings("ignore:Following kwargs received:UserWarning"),
    pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning"),
]
Found = dict[int, tuple[str, list[int]]]
PICTURES = 5  # that are asked about


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """VLMEvalKit's LLaVA wrapper with a tiny model, its tower as its files have it."""
    made = tiny_wrapper.make(tmp_path_factory.mktemp("tiny"))
    untouched(made)
    return made


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the questions' pictures."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def asked(pictures: Path) -> list[Question]:
    """Questions of every shape."""
    return tiny_wrapper.questions(pictures)


@pytest.fixture(scope="module")
def expected(wrapper: Any, asked: list[Question]) -> Found:
    """What VLMEvalKit's own loop answers."""
    return tiny_wrapper.stock(wrapper, asked)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Every test is a process of its own, as far as the cache can tell."""
    yield
    disk_features._opened.cache_clear()


def untouched(made: Any) -> None:
    """Give a tower the weights of its files again; tiny_wrapper makes others."""
    tower = made.model.get_vision_tower()
    fresh = type(tower.vision_tower).from_pretrained(tower.vision_tower_name)
    tower.vision_tower.load_state_dict(fresh.state_dict())


def run(
    made: Any, asked: list[Question], root: Path, *, batch_size: int = 3, **env: str
) -> tuple[Found, dict[str, int]]:
    """Answer in what is as good as another process; return the answers and how the images were looked up."""
    disk_features._opened.cache_clear()
    values = {"VLDOCK_ENGINE": BATCHED, "VLDOCK_FEATURE_CACHE": "1", "VLDOCK_FEATURES": str(root), **env}
    engine = BatchedEngine(
        made, batch_size=batch_size, features=FeatureStore(1 << 30), disk=disk_features.open_for(made, values)
    )
    found, seen = Found(), {"read": 0, "computed": 0, "held": 0}
    for answer in engine.answers(asked):
        found[answer.index] = (answer.text, answer.note["answer"])
        for word in seen:
            seen[word] += answer.note["features"].get(word, 0) if "features" in answer.note else 0
    return found, seen


def test_cold_and_warm_every_answer_is_the_stock_loops_and_no_tower_runs_twice(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    cold, first = run(wrapper, asked, tmp_path)
    warm, second = run(wrapper, asked, tmp_path, batch_size=5)

    assert cold == warm == expected
    assert (first["read"], first["computed"]) == (0, PICTURES)
    assert (second["read"], second["computed"]) == (PICTURES, 0)
    assert fsck.check(tmp_path).rows == PICTURES


def test_with_the_cache_warm_no_picture_is_even_opened(
    wrapper: Any, asked: list[Question], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(wrapper, asked, tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("vldock.image.engines.inputs.InputProcessor.decode", lambda self, path: opened.append(path))

    run(wrapper, asked, tmp_path)

    assert opened == []


def test_without_being_asked_for_nothing_is_read_or_written(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    found, _ = run(wrapper, asked, tmp_path / "features", VLDOCK_FEATURE_CACHE="")

    assert found == expected
    assert not (tmp_path / "features").exists()


def test_another_llava_with_this_tower_computes_nothing(wrapper: Any, asked: list[Question], tmp_path: Path) -> None:
    run(wrapper, asked, tmp_path / "features")
    (tmp_path / "other").mkdir()
    other = tiny_wrapper.make(tmp_path / "other")
    other.model.get_vision_tower().load_state_dict(wrapper.model.get_vision_tower().state_dict())
    own, _ = run(other, asked, tmp_path / "unused", VLDOCK_FEATURE_CACHE="0")

    found, seen = run(other, asked, tmp_path / "features")

    assert found == own
    assert seen["computed"] == 0


def test_features_built_before_are_hits(wrapper: Any, asked: list[Question], pictures: Path, tmp_path: Path) -> None:
    name = wrapper.model.get_vision_tower().vision_tower_name
    tower, processor = towers.open_tower(name, device="cpu", for_evaluation=True)
    listed = picture_rows.from_folder(pictures, dataset="POPE")
    build.build(
        listed, vl_model=tower, processor=processor, cache_dir=tmp_path, dtype=for_evaluation.name_of(tower.dtype)
    )

    _, seen = run(wrapper, asked, tmp_path)

    assert (seen["read"], seen["computed"]) == (PICTURES, 0)


def test_features_built_for_training_are_none_of_an_evaluation(
    wrapper: Any, asked: list[Question], pictures: Path, tmp_path: Path
) -> None:
    tower, processor = towers.open_tower(wrapper.model.get_vision_tower().vision_tower_name, device="cpu")
    build.build(picture_rows.from_folder(pictures), vl_model=tower, processor=processor, cache_dir=tmp_path)

    assert run(wrapper, asked, tmp_path)[1]["read"] == 0


def test_a_tower_trained_with_its_llava_has_features_of_its_own(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    run(wrapper, asked, tmp_path / "features")
    (tmp_path / "trained").mkdir()
    trained = tiny_wrapper.make(tmp_path / "trained")  # its config does not tell that its tower's weights are others
    own = tiny_wrapper.stock(trained, asked)

    cold, first = run(trained, asked, tmp_path / "features")
    warm, second = run(trained, asked, tmp_path / "features")

    assert cold == warm == own != expected
    assert (first["read"], second["computed"]) == (0, 0)


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter:UserWarning")  # LLaVA's own way with it
def test_a_checkpoint_that_carries_its_tower_is_known_by_the_weights_it_loads(
    wrapper: Any, asked: list[Question], tmp_path: Path
) -> None:
    from vlmeval.vlm.llava.llava import LLaVA

    (tmp_path / "base").mkdir()
    base = tiny_wrapper.make(tmp_path / "base")
    base.model.config.unfreeze_mm_vision_tower = True
    base.model.save_pretrained(tmp_path / "llava-trained")
    base.tokenizer.save_pretrained(tmp_path / "llava-trained")
    made = LLaVA(str(tmp_path / "llava-trained"), max_new_tokens=4)
    own = tiny_wrapper.stock(made, asked[:6])
    run(wrapper, asked, tmp_path / "features")

    cold, first = run(made, asked[:6], tmp_path / "features")
    warm, second = run(made, asked[:6], tmp_path / "features")

    tower = made.model.get_vision_tower()
    assert for_evaluation.digest_of_files(tower) is None
    assert for_evaluation.digest_in_memory(tower) == for_evaluation.digest_in_memory(base.model.get_vision_tower())
    assert cold == warm == own
    assert (first["read"], second["computed"]) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": torch.bfloat16},
        {"processor": {"image_mean": [0.0, 0.0, 0.0]}},
        {"layer": -3},
        {"weight": 1e-3},
        {"torch": "2.1.3"},
        {"device": "AVX2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_moves_a_bit_of_the_features_is_another_space(
    wrapper: Any, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, processor = wrapper.model.get_vision_tower(), wrapper.image_processor
    before = for_evaluation.space_of(tower, processor, dtype=torch.float32, device=torch.device("cpu"))
    if "processor" in change:
        processor = type(processor)(**{**processor.to_dict(), **change["processor"]})
    if "layer" in change:
        monkeypatch.setattr(tower, "select_layer", change["layer"])
    if "weight" in change:
        weight = next(tower.vision_tower.parameters())
        monkeypatch.setattr(weight, "data", weight.data + change["weight"])
    if "torch" in change:
        monkeypatch.setattr(torch, "__version__", change["torch"])
    if "device" in change:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: change["device"])
    dtype = change.get("dtype", torch.float32)

    after = for_evaluation.space_of(tower, processor, dtype=dtype, device=torch.device("cpu"))

    assert after != before


def test_the_space_of_what_is_in_memory_is_that_of_the_files_it_came_from(wrapper: Any) -> None:
    tower = wrapper.model.get_vision_tower()
    vl_model, processor = towers.open_tower(tower.vision_tower_name, device="cpu", for_evaluation=True)

    found = for_evaluation.space_of(tower, wrapper.image_processor, dtype=torch.float32, device=torch.device("cpu"))

    assert found == towers.space_of(vl_model, processor, "float32")


def test_damaged_rows_are_computed_again(wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path) -> None:
    run(wrapper, asked, tmp_path)
    (path,) = shards.find_shards(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    found, seen = run(wrapper, asked, tmp_path)

    assert found == expected
    assert (seen["read"], seen["computed"]) == (PICTURES - 1, 1)


def test_a_shard_that_is_cut_short_is_computed_again(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    run(wrapper, asked, tmp_path)
    (path,) = shards.find_shards(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])

    found, seen = run(wrapper, asked, tmp_path)

    assert found == expected
    assert seen["computed"] == PICTURES


def test_a_cache_that_cannot_be_written_is_told_once_and_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    found, seen = run(wrapper, asked, tmp_path / "file" / "features")

    assert found == expected
    assert seen["computed"] == PICTURES
    assert capsys.readouterr().out.count("read but no more written") == 1


@pytest.mark.parametrize("call", ["get", "_store"])
def test_an_error_of_the_disk_is_told_once_and_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def broken(*_: Any) -> None:
        raise OSError(28 if call == "_store" else 5, "the disk")

    run(wrapper, asked[:4], tmp_path)
    monkeypatch.setattr(FeatureCache, call, broken)

    found, _ = run(wrapper, asked, tmp_path)

    assert found == expected
    assert capsys.readouterr().out.count(f"feature cache {tmp_path}: ") == 1


def test_a_full_cache_is_told_once_and_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, seen = run(wrapper, asked, tmp_path, VLDOCK_FEATURE_CACHE_LIMIT="0.0000001")

    assert found == expected
    assert seen["computed"] == PICTURES
    assert capsys.readouterr().out.count("no room below the limit of 1e-07 GB") == 1
    assert list(shards.find_shards(tmp_path)) == []


def test_a_cache_removed_while_it_is_read_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    run(wrapper, asked, tmp_path)
    values = {"VLDOCK_ENGINE": BATCHED, "VLDOCK_FEATURE_CACHE": "1", "VLDOCK_FEATURES": str(tmp_path)}
    disk_features._opened.cache_clear()
    engine = BatchedEngine(
        wrapper, batch_size=3, features=FeatureStore(1), disk=disk_features.open_for(wrapper, values)
    )
    shutil.rmtree(tmp_path)

    assert {a.index: (a.text, a.note["answer"]) for a in engine.answers(asked)} == expected


def test_what_a_run_wrote_may_be_evicted_when_it_has_ended(wrapper: Any, asked: list[Question], tmp_path: Path) -> None:
    from vldock.image.features import evict

    run(wrapper, asked, tmp_path)
    run(wrapper, asked, tmp_path)

    assert len(evict.execute(evict.plan(tmp_path, limit=0))) == 1
