"""Prompt-dependent features: of the right position, keyed by prompt, alone as in a build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_model import _verifier

from vldock.common.errors import InputRefused, UsageError
from vldock.image.__main__ import main
from vldock.image.features import build, lookup, picture_rows, prompt_features, pt_files, towers
from vldock.image.features.cache import FeatureCache
from vldock.image.features.picture_rows import decode, sha256_of
from vldock.image.features.processor import ClipProcessor
from vldock.image.features.prompt_features import PromptReader

QUESTIONS = ("the cat", "a dog")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tiny random LLaVA-1.5 with its tower."""
    folder = tmp_path_factory.mktemp("tiny")
    for name in ("tower", "llava"):
        (folder / name).mkdir()
    torch.manual_seed(3)
    _verifier().make_tower(folder / "tower")
    _verifier().make_checkpoint(folder / "llava", folder / "tower")
    return str(folder / "llava")


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rows: two pictures, two questions about each."""
    folder = tmp_path_factory.mktemp("data")
    for index in range(2):
        Image.linear_gradient("L").rotate(60 * index).convert("RGB").save(folder / f"{index}.png")
    said = [{"image": f"{i}.png", "instruction": text} for i in range(2) for text in QUESTIONS]
    (folder / "drive.json").write_text(json.dumps(said), encoding="utf-8")
    return folder / "drive.json"


def asked(conversations: Path) -> list[picture_rows.ImageRow]:
    return picture_rows.from_json(conversations, prompt_key="instruction")


def fresh(reader: PromptReader, processor: ClipProcessor, row: picture_rows.ImageRow) -> torch.Tensor:
    return reader.encode_prompted(processor(decode(row.path.read_bytes())), row.prompt or "")


def test_the_last_position_is_the_one_the_answer_begins_from(checkpoint: str, conversations: Path) -> None:
    reader, processor = prompt_features.open_reader(checkpoint)
    row = asked(conversations)[0]
    features = fresh(reader, processor, row)
    assert reader._loaded is not None
    tokenizer, model = reader._loaded
    pixels = processor(decode(row.path.read_bytes()))[None]

    with torch.inference_mode():
        answer = model.generate(reader._ids(tokenizer, row.prompt or "")[None], images=pixels, max_new_tokens=1)
        likeliest = model.lm_head(features).argmax().item()

    assert features.shape == (1, model.config.hidden_size)
    assert likeliest == answer[0, -1].item()


def test_a_build_keeps_what_is_computed_alone_and_prompts_have_keys_of_their_own(
    checkpoint: str, conversations: Path, tmp_path: Path
) -> None:
    reader, processor = prompt_features.open_reader(checkpoint, tokens="all")
    wanted = asked(conversations)

    build.build(wanted, vl_model=reader, processor=processor, cache_dir=tmp_path, dtype="float32")

    space = towers.space_of(reader, processor, "float32")
    with FeatureCache(tmp_path, space) as cache:
        kept = [cache.get(space.key(sha256_of(row.path.read_bytes()), row.prompt)) for row in wanted]
    for row, found in zip(wanted, kept, strict=True):
        assert found is not None
        assert torch.equal(found, fresh(reader, processor, row))
    assert kept[0] is not None
    assert kept[1] is not None
    assert not torch.equal(kept[0][-1], kept[1][-1])
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == len(QUESTIONS)


def test_other_weights_another_position_or_state_is_another_space(checkpoint: str, tmp_path: Path) -> None:
    for name in ("tower", "llava"):
        (tmp_path / name).mkdir()
    torch.manual_seed(4)
    _verifier().make_tower(tmp_path / "tower")
    _verifier().make_checkpoint(tmp_path / "llava", tmp_path / "tower")
    chosen = [
        prompt_features.open_reader(checkpoint),
        prompt_features.open_reader(checkpoint, tokens="all"),
        prompt_features.open_reader(checkpoint, hidden=-2),
        prompt_features.open_reader(str(tmp_path / "llava")),
        towers.open_tower(checkpoint),
    ]

    assert len({towers.space_of(*pair).digest for pair in chosen}) == len(chosen)


def test_a_state_the_model_has_not_is_refused(checkpoint: str, conversations: Path) -> None:
    reader, processor = prompt_features.open_reader(checkpoint, hidden=99)

    with pytest.raises(InputRefused, match="hidden state 99"):
        fresh(reader, processor, asked(conversations)[0])


def test_a_row_without_a_prompt_is_refused_before_anything_is_loaded(
    checkpoint: str, conversations: Path, tmp_path: Path
) -> None:
    reader, processor = prompt_features.open_reader(checkpoint)

    with pytest.raises(UsageError, match=r"row 0 .* has no prompt"):
        build.build(picture_rows.from_json(conversations), vl_model=reader, processor=processor, cache_dir=tmp_path)
    with pytest.raises(InputRefused, match="row 0: said is None"):
        picture_rows.from_json(conversations, prompt_key="said")

    assert reader._loaded is None


def test_the_command_builds_once_and_lists_prompts(
    checkpoint: str, conversations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["features", "build", "--model", checkpoint, "--json", str(conversations), "--cache", str(tmp_path)]
    words += ["--prompt-key", "instruction", "--as-json"]

    assert main(words) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(words) == 0
    second = json.loads(capsys.readouterr().out)

    assert (first["computed"], second["computed"], second["kept"]) == (4, 0, 4)
    assert main(["features", "ls", "--cache", str(tmp_path)]) == 0
    assert "language hidden -1, last" in capsys.readouterr().out


def test_prompts_of_rows_need_rows(checkpoint: str, conversations: Path, tmp_path: Path) -> None:
    words = [
        "features",
        "build",
        "--model",
        checkpoint,
        "--images",
        str(conversations.parent),
        "--cache",
        str(tmp_path),
    ]

    assert main([*words, "--prompt-key", "instruction"]) == 2


def test_the_mean_is_over_every_position(checkpoint: str, conversations: Path) -> None:
    every, processor = prompt_features.open_reader(checkpoint, tokens="all")
    mean, _ = prompt_features.open_reader(checkpoint, tokens="mean")
    row = asked(conversations)[0]

    states, found = fresh(every, processor, row), fresh(mean, processor, row)

    assert found.shape == (1, states.shape[1])
    assert torch.equal(found[0], states.mean(dim=0))


@pytest.mark.parametrize("tokens", ["last", "mean", "all"])
def test_prompted_rows_are_read_back_by_prompt_data_set_and_number(
    tokens: str, checkpoint: str, conversations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["features", "build", "--model", checkpoint, "--json", str(conversations), "--cache", str(tmp_path / "c")]
    words += ["--prompt-key", "instruction", "--tokens", tokens, "--num-workers", "1", "--limit", "1"]
    assert main(words) == 0
    assert main(["features", "export", "--pt", str(tmp_path / "pt"), "--cache", str(tmp_path / "c")]) == 0
    capsys.readouterr()

    reader, processor = prompt_features.open_reader(checkpoint, tokens=tokens)
    with FeatureCache(tmp_path / "c", towers.space_of(reader, processor)) as cache:
        keys = lookup.index_rows(cache)
        for row in asked(conversations):
            stored = cache.get(keys[row.prompt, "drive", row.vlm_idx])
            copied = pt_files.read_pt(tmp_path / "pt", prompt=row.prompt, dataset="drive", index=row.vlm_idx)
            assert torch.equal(stored, fresh(reader, processor, row).half())
            assert torch.equal(stored, copied)
