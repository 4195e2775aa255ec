"""A language model as base: it becomes a LLaVA-1.5, and trains, resumes and exports as any base does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_vicuna
import training_fixture
from training_fixture import Box

from vldock.common.errors import InputRefused, UsageError
from vldock.image.training import config as settings
from vldock.image.training import dataset
from vldock.image.training.config import Config
from vldock.image.training.fit import Result, fit
from vldock.image.training.model import base as model_base


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture(scope="module")
def root(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vicuna.write_workspace(tmp_path_factory.mktemp("language-model"), box)


def configured(root: Path, out: Path, *words: str) -> Config:
    """Return a configuration of two steps with the tiny Vicuna as base, with `words` over it."""
    few = [
        f"out={out}", "data.source=json", f"data.path={root / 'data/llava_instruct.json'}",
        f"data.images={root / 'data/images'}", f"model.base={root / 'weights/lmsys/vicuna-7b-v1.5'}",
        f"model.tower={root / 'weights' / tiny_vicuna.TOWER}", "model.method=lora", "model.lora_r=4",
        "train.max_steps=2", "train.batch_size=2", "train.accumulation=1", "train.save_every=1", "train.log_every=1",
        "train.heldout_samples=1", "train.answer_tokens=2", "train.proof=weights", "train.learning_rate=1e-3",
    ]  # fmt: skip
    return settings.load(None, [*few, *words])


def trained(config: Config) -> Result:
    return fit(config, dataset.load(config.data), log=lambda _: None)


def read(config: Config) -> tuple[Any, Any, Any]:
    import torch

    return model_base.read_base(config, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def captions(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of LLaVA's first stage: the projector alone, on images and captions."""
    folder = root / "playground/data/LLaVA-Pretrain"
    data = [f"data.path={folder / 'blip_laion_cc_sbu_558k.json'}", f"data.images={folder / 'images'}"]
    out = tmp_path_factory.mktemp("captions") / "run"
    return trained(configured(root, out, "model.method=projector", "model.template=plain", *data)).folder


def test_it_has_the_config_of_a_llava_1_5_and_settings_that_can_be_saved(root: Path, tmp_path: Path) -> None:
    tokenizer, model, processor = read(configured(root, tmp_path))

    model.save_pretrained(tmp_path)  # refused by transformers with Vicuna's own temperature
    written = json.loads((tmp_path / "config.json").read_text())
    wanted = {
        "model_type": "llava_llama", "mm_projector_type": "mlp2x_gelu", "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch", "image_aspect_ratio": "pad", "tokenizer_model_max_length": 2048,
        "mm_use_im_start_end": False, "mm_use_im_patch_token": False,
    }  # fmt: skip
    assert {name: written[name] for name in wanted} == wanted
    assert (model.config._attn_implementation, processor.crop_size["height"]) == ("sdpa", 56)
    assert tokenizer.pad_token_id is not None


def test_the_language_model_is_the_bases_bit_for_bit(root: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    config = configured(root, tmp_path)
    state = read(config)[1].state_dict()

    base = load_file(Path(config.model.base) / "model.safetensors")
    assert all(torch.equal(state[name], value) for name, value in base.items())


def test_a_fresh_projector_depends_on_the_seed_alone(root: Path, tmp_path: Path) -> None:
    import torch

    first, again, other = (
        read(configured(root, tmp_path, f"train.seed={seed}"))[1].model.mm_projector[0].weight for seed in (0, 0, 1)
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_first_stage_trains_the_projector_alone_and_the_second_starts_from_it(
    root: Path, captions: Path, tmp_path: Path
) -> None:
    import torch

    written = torch.load(captions / "mm_projector.bin")

    second = read(configured(root, tmp_path, f"model.projector_weights={captions}"))[1].state_dict()

    fresh = read(configured(root, tmp_path))[1].state_dict()
    assert sorted(written) == [f"model.mm_projector.{at}.{kind}" for at in (0, 2) for kind in ("bias", "weight")]
    assert all(torch.equal(second[name], value) for name, value in written.items())
    assert all(not torch.equal(fresh[name], value) for name, value in written.items())


@pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning")  # Vicuna's own settings
def test_its_adapters_load_as_llava_loads_them(root: Path, tmp_path: Path) -> None:
    import torch
    from llava.model.builder import load_pretrained_model

    from vldock.image.training.model import export

    config = configured(root, tmp_path / "run")
    point = (trained(config).folder / "best").resolve()

    ours = export.merge(config, point).inner.state_dict()
    _, theirs, _, _ = load_pretrained_model(str(point), config.model.base, "llava-lora", device="cpu")

    assert all(torch.allclose(ours[name], value, atol=1e-6) for name, value in theirs.state_dict().items())


@pytest.mark.parametrize("method", ["projector", "full"])
def test_a_killed_run_goes_on_to_the_same_weights(root: Path, tmp_path: Path, method: str) -> None:
    import torch

    from vldock.image.training.model import checkpoint

    config = configured(root, tmp_path / "run", f"model.method={method}", "train.patience=0")
    folder = trained(config).folder
    whole = checkpoint.read(folder / "checkpoint-2", config)
    shutil.rmtree(folder / "checkpoint-2")

    resumed = trained(config)

    again = checkpoint.read(folder / "checkpoint-2", config)
    assert resumed.resumed_from == 1
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_the_first_checkpoint_is_proven_by_an_export(root: Path, tmp_path: Path) -> None:
    from vldock.image.training.loop import monitor

    trained(configured(root, tmp_path / "run", "train.proof=full", "train.max_steps=1"))

    proof = next(line for line in monitor.read(tmp_path / "run" / monitor.LOG) if line["event"] == "proof")
    assert "exported and loaded" in proof["proven"]


def test_its_towers_features_are_cached(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_FEATURES", str(tmp_path / "features"))

    folder = trained(configured(root, tmp_path / "run", "model.feature_cache=true")).folder

    assert training_fixture.last_features(folder)["stored"] > 0


def test_the_projector_learns_at_its_own_rate(root: Path, tmp_path: Path) -> None:
    import torch

    config = configured(root, tmp_path / "run", "train.projector_learning_rate=1e-5", "train.weight_decay=0.1")
    folder = trained(config).folder

    groups = torch.load(folder / "checkpoint-2/optimizer.pt")["param_groups"]
    rates = [(group["initial_lr"], group["weight_decay"]) for group in groups]
    assert rates == [(1e-3, 0.1), (1e-5, 0.1), (1e-5, 0.0)]
    assert [len(group["params"]) for group in groups[1:]] == [2, 2]


@pytest.mark.parametrize("template", ["plain", "llava_llama_2"])
def test_a_templates_tokens_and_labels_are_those_of_llavas_training(
    root: Path, tmp_path: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llava import conversation
    from llava.train import train as theirs

    from vldock.image.training.data import encode

    tokenizer = read(configured(root, tmp_path))[0]
    record = dataset.load(configured(root, tmp_path).data).training[0]
    said = [[{"from": turn.role, "value": turn.text} for turn in record.turns]]

    ids, labels = encode.encode_text(record.turns, tokenizer, template)

    monkeypatch.setattr(conversation, "default_conversation", conversation.conv_templates[template])
    said = theirs.preprocess_multimodal(said, SimpleNamespace(is_multimodal=True, mm_use_im_start_end=False))
    made = theirs.preprocess(said, tokenizer, has_image=True)
    assert ids == list(made["input_ids"][0])
    assert labels == list(made["labels"][0])


def test_an_export_is_asked_in_the_template_it_was_trained_in(root: Path, tmp_path: Path) -> None:
    from vldock.image.llava_hooks import wording

    tokenizer, model, _ = read(configured(root, tmp_path, "model.template=llava_llama_2"))
    model.save_pretrained(tmp_path / "llava-base")
    tokenizer.save_pretrained(tmp_path / "llava-base")

    again = read(settings.load(None, [f"model.base={tmp_path / 'llava-base'}"]))[1]

    assert wording.template_of(again.config) == "llava_llama_2"


def test_conversations_are_no_captions(root: Path, tmp_path: Path) -> None:
    data = dataset.load(configured(root, tmp_path).data)

    with pytest.raises(InputRefused, match=r"model.template=plain: 2 of 8 records .*text-0"):
        dataset.require_captions(data)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.projector=linear", "model.projector_weights={run}"], "mm_projector.0.bias is|mm_projector.2"),
        (["model.projector_weights=/nowhere.bin"], "model.projector_weights=/nowhere.bin cannot be read"),
        (["model.base={llava}", "model.projector=linear"], "model.projector=linear: .* trained with mlp2x_gelu"),
        (["model.base={llava}", "model.tower=another"], "model.tower=another: .* is a LLaVA, trained with"),
        (["model.base={tower}"], "is a model of type 'clip_vision_model'"),
        (["model.train_projector=false"], "the model would never see an image"),
    ],
    ids=["another form", "no file", "a LLaVA's projector", "a LLaVA's tower", "a tower", "never trained"],
)
def test_parts_that_do_not_belong_together_are_refused(
    root: Path, captions: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    from vldock.image.training.model.load import load

    llava, tower = root / "weights/liuhaotian/llava-v1.5-13b", root / "weights" / tiny_vicuna.TOWER
    config = configured(root, tmp_path, *(word.format(run=captions, llava=llava, tower=tower) for word in words))

    with pytest.raises((InputRefused, UsageError), match=message):
        load(config, device="cpu")


def test_another_projector_file_is_another_base(root: Path, captions: Path, tmp_path: Path) -> None:
    fresh = model_base.base_digest(configured(root, tmp_path))
    given = model_base.base_digest(configured(root, tmp_path, f"model.projector_weights={captions}"))

    assert None not in (fresh, given)
    assert fresh != given
