"""Features as .pt files: the document's place and form, found by any usual hash, nothing else accepted."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features import pt_files

PROMPT, DATASET = "집어 the red cup", "data_collection_20251108_054442"
ROW = {"prompt": PROMPT, "dataset": DATASET, "index": 0}


def stored(root: Path, folder: str, value: object, *, name: str = f"{DATASET}_vlm0.pt") -> Path:
    """Save a file as other code does."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    torch.save(value, root / folder / name)
    return root / folder / name


def test_a_written_row_is_a_float16_file_at_its_place_and_comes_back(tmp_path: Path) -> None:
    tensor = torch.randn(1, 12)

    assert pt_files.write_pt(tmp_path, tensor, **ROW)

    place = tmp_path / hashlib.sha256(PROMPT.encode()).hexdigest()[:8] / f"{DATASET}_vlm0.pt"
    assert torch.equal(torch.load(place), tensor.half())
    assert torch.equal(pt_files.read_pt(tmp_path, **ROW), tensor.half())
    assert [one.name for one in place.parent.iterdir()] == [place.name]


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
@pytest.mark.parametrize("digits", [8, 16, 32])
def test_a_row_is_found_whatever_its_prompt_was_hashed_with(algorithm: str, digits: int, tmp_path: Path) -> None:
    stored(tmp_path, "0" * 12, torch.zeros(3))
    stored(tmp_path, hashlib.new(algorithm, PROMPT.encode()).hexdigest()[:digits], torch.ones(3))

    assert torch.equal(pt_files.read_pt(tmp_path, **ROW), torch.ones(3))
    assert pt_files.read_pt(tmp_path, **{**ROW, "prompt": "another"}) is None


def test_a_folder_of_unknown_hashing_is_found_by_a_file_of_names(tmp_path: Path) -> None:
    stored(tmp_path, "abc12345", torch.ones(3))
    (tmp_path / "names.json").write_text(json.dumps({PROMPT: "abc12345"}))

    assert pt_files.read_pt(tmp_path, **ROW) is None
    assert pt_files.read_pt(tmp_path, **ROW, names=pt_files.read_names(tmp_path / "names.json")) is not None


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


@pytest.mark.parametrize(
    "value",
    [{"a": torch.ones(2)}, Harmful(), torch.tensor([torch.inf]), torch.ones(2, dtype=torch.int64), torch.ones(0)],
    ids=["a dict", "code", "infinity", "whole numbers", "nothing"],
)
def test_anything_but_a_finite_tensor_is_refused_by_the_file_s_name(value: object, tmp_path: Path) -> None:
    path = stored(tmp_path, "0" * 8, value)

    with pytest.raises(InputRefused, match=path.name):
        pt_files.read_tensor(path)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(Harmful())], ids=["empty", "text", "a pickle"])
def test_a_file_of_other_bytes_is_refused_by_its_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a_vlm0.pt").write_bytes(content)

    with pytest.raises(InputRefused, match=r"a_vlm0\.pt cannot be read"):
        pt_files.read_tensor(tmp_path / "a_vlm0.pt")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    pt_files.write_pt(tmp_path, torch.ones(3), **ROW)

    assert not pt_files.write_pt(tmp_path, torch.ones(3), **ROW)
    with pytest.raises(InputRefused, match="has other content"):
        pt_files.write_pt(tmp_path, torch.zeros(3), **ROW)
    assert torch.equal(pt_files.read_pt(tmp_path, **ROW), torch.ones(3).half())


def test_what_half_precision_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="not finite as float16"):
        pt_files.write_pt(tmp_path, torch.tensor([1e6]), **ROW)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dataset", ["", "../a", ".a"])
def test_a_data_set_that_is_no_file_name_is_refused(dataset: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="data set"):
        pt_files.write_pt(tmp_path, torch.ones(1), prompt=None, dataset=dataset, index=0)


@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6), (4, 6), (1, 4, 6)])
def test_a_pooled_feature_and_token_states_become_tokens_by_width(shape: tuple[int, ...]) -> None:
    found = pt_files.as_tokens(torch.arange(float(torch.Size(shape).numel())).reshape(shape))

    assert found.shape == (4 if 4 in shape else 1, 6)


def test_a_batch_is_no_row() -> None:
    with pytest.raises(InputRefused, match=r"shape \(2, 4, 6\)"):
        pt_files.as_tokens(torch.ones(2, 4, 6))


def test_a_new_row_goes_to_the_folder_its_prompt_has(tmp_path: Path) -> None:
    place = stored(tmp_path, hashlib.md5(PROMPT.encode()).hexdigest()[:8], torch.ones(3)).parent

    pt_files.write_pt(tmp_path, torch.ones(3), **{**ROW, "index": 1})

    assert [one.name for one in tmp_path.iterdir()] == [place.name]
    assert (place / f"{DATASET}_vlm1.pt").is_file()
