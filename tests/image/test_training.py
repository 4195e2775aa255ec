"""Fine-tuning: each known trap of LLaVA's own training, resuming bit for bit, and exports that load and answer."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import training_fixture
from training_fixture import Box, weights_of

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.make(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def run(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps that nothing disturbed; only read."""
    return box.train(tmp_path_factory.mktemp("trained") / "run", "train.answer_tokens=3").folder


def size_of(record: Any) -> tuple[int, int]:
    """Return width and height of a record's picture."""
    from PIL import Image

    with Image.open(record.pictures[0].path) as image:
        size: tuple[int, int] = image.size
    return size


def encoded(box: Box, base: str) -> tuple[Any, Any, Any]:
    """Return (loaded model, its data, its encoder)."""
    from vldock.image.training.data.encode import Encoder
    from vldock.image.training.model import load as model_load

    made = box.config(box.root / "unused", f"model.base={box.root / base}")
    loaded = model_load.load(made, device="cpu")
    return loaded, box.data(made), Encoder(loaded.tokenizer, loaded.processor, loaded.inner.config)


def test_an_anyres_batch_has_tiles_and_the_size_of_every_image(box: Box) -> None:
    from vldock.image.training.data.batch import Collator

    _, data, encoder = encoded(box, "next")

    batch = Collator(0, anyres=True)([encoder(record) for record in data.training[:2]])

    sizes = [size_of(record) for record in data.training[:2]]
    assert batch["image_sizes"] == sizes
    assert all(image.shape[1:] == (3, 56, 56) and image.shape[0] > 1 for image in batch["images"])


def test_the_size_of_an_image_decides_which_features_the_model_keeps(box: Box) -> None:
    """Without image_sizes llava_arch.py fails; with a wrong one it unpads otherwise."""
    from vldock.image.training.data.batch import Collator

    loaded, data, encoder = encoded(box, "next")
    batch = Collator(0, anyres=True)([encoder(data.training[0])])

    width, height = size_of(data.training[0])
    right = loaded.inner(**batch).logits.shape[1]
    flat = loaded.inner(**{**batch, "image_sizes": [(width, height * 3 // 4)]}).logits.shape[1]

    assert flat != right
    with pytest.raises(TypeError):
        loaded.inner(**{**batch, "image_sizes": None})


def test_a_llava_1_5_batch_is_one_tensor(box: Box) -> None:
    from vldock.image.training.data.batch import Collator

    loaded, data, encoder = encoded(box, "plain")

    batch = Collator(0, anyres=loaded.anyres)([encoder(record) for record in data.training[:2]])

    assert tuple(batch["images"].shape) == (2, 3, 56, 56)
    assert float(loaded.model(**batch).loss) > 0


@pytest.mark.parametrize("template", ["llava_v1", "mistral_instruct"])
def test_labels_spell_the_answers_of_every_turn_and_nothing_else(box: Box, template: str) -> None:
    from llava.constants import IGNORE_INDEX

    from vldock.image.training.data.encode import encode_text
    from vldock.image.training.data.records import ConversationTurn

    loaded, _, _ = encoded(box, "next")
    turns = [
        ConversationTurn("human", "What is it?\n<image>"),
        ConversationTurn("gpt", "a rose"),
        ConversationTurn("human", "Sure?"),
        ConversationTurn("gpt", "yes"),
    ]

    ids, labels = encode_text(turns, loaded.tokenizer, template)

    spelt = loaded.tokenizer.decode([label for label in labels if label != IGNORE_INDEX], skip_special_tokens=True)
    assert spelt.split() == ["a", "rose", "yes"]
    assert labels.count(loaded.tokenizer.eos_token_id) == 2
    assert ids.count(-200) == 1


ODD = {
    "gpt first": ({"image": "x.png"}, ("gpt", "Hi."), ("human", "<image>\nWhat is it?"), ("gpt", "A rose.")),
    "two markers": ({"image": "x.png"}, ("human", "What <image> is <image> it?"), ("gpt", "A rose.")),
    "marker behind": ({"image": "x.png"}, ("human", "What is it?\n<image>"), ("gpt", "A rose.")),
    "no marker": ({"image": "x.png"}, ("human", "What is it?"), ("gpt", "A rose.")),
    "text only": ({}, ("human", "What is it?"), ("gpt", "A rose.")),
    "marker in text only": ({}, ("human", "What does <image> do?"), ("gpt", "It shows.")),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_row_that_is_accepted_is_the_tokens_llavas_own_training_makes(
    box: Box, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llava import conversation
    from llava.train import train as theirs

    from vldock.image.training.data import encode, records
    from vldock.image.training.data import problems as data_problems

    about, *turns = ODD[kind]
    row = {"id": "1", **about, "conversations": [{"from": role, "value": text} for role, text in turns]}
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    (record,), _ = records.read(tmp_path / "rows.json", tmp_path, accept=data_problems.AS_LLAVA[:3])
    tokenizer = encoded(box, "next")[0].tokenizer

    ids, labels = encode.encode_text(record.turns, tokenizer, "llava_v1", images=bool(record.pictures))

    monkeypatch.setattr(conversation, "default_conversation", conversation.conv_templates["llava_v1"])
    said = [row["conversations"]]
    if "image" in row:
        said = theirs.preprocess_multimodal(said, SimpleNamespace(is_multimodal=True, mm_use_im_start_end=False))
    made = theirs.preprocess(said, tokenizer, has_image="image" in row)
    assert ids == made["input_ids"][0].tolist()
    assert labels == made["labels"][0].tolist()


def test_a_batch_in_pieces_has_the_loss_of_the_whole(box: Box) -> None:
    import torch

    from vldock.image.training.data.batch import Collator, split_batch

    loaded, data, encoder = encoded(box, "next")
    whole = Collator(0, anyres=True)([encoder(record) for record in data.training[:3]])
    loaded.model.eval()

    parts = split_batch(whole, 2)
    sum_of_parts = sum(float(loaded.model(**part).loss) * share for part, share in parts)

    assert [len(part["input_ids"]) for part, _ in parts] == [2, 1]
    assert sum_of_parts == pytest.approx(float(loaded.model(**whole).loss), rel=1e-5)
    assert torch.equal(parts[1][0]["images"][0], whole["images"][2])


def test_half_precision_is_float32_on_a_cpu_and_so_is_the_tower(box: Box) -> None:
    import torch

    loaded, _, _ = encoded(box, "next")

    assert loaded.precision == "fp32"
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_adapters_are_saved_without_deepspeed_and_load_as_llava_loads_them(box: Box, run: Path) -> None:
    import torch
    from llava.model.builder import load_pretrained_model

    from vldock.image.training.model import export

    checkpoint = (run / "best").resolve()

    ours = export.merge(box.config(run), checkpoint).inner.state_dict()
    _, theirs, _, _ = load_pretrained_model(str(checkpoint), str(box.root / "next"), "llava-lora", device="cpu")

    assert all(torch.allclose(ours[name], value, atol=1e-6) for name, value in theirs.state_dict().items())
    assert "deepspeed" not in sys.modules


def test_training_moves_adapters_and_projector_and_no_other_weight(box: Box, run: Path) -> None:
    import torch

    from vldock.image.training.model import export
    from vldock.image.training.model import load as model_load

    _, before, _ = model_load.read(str(box.root / "next"), device="cpu", dtype=torch.float32)

    after = export.merge(box.config(run), (run / "best").resolve()).inner.state_dict()

    base = before.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, base[name])}
    assert moved
    assert all("mm_projector" in name or "image_newline" in name or "_proj." in name for name in moved)
    assert not any("vision_tower" in name for name in moved)


def test_a_base_with_sampling_settings_that_contradict_each_other_is_trained_and_saved(
    box: Box, tmp_path: Path
) -> None:
    base = box.altered(tmp_path / "base", file="generation_config.json", temperature=0.9, top_p=0.6)

    with pytest.warns(UserWarning, match="only used in sample-based"):
        result = box.train(tmp_path / "run", f"model.base={base}", "model.method=full")

    saved = json.loads((result.folder / "best" / "generation_config.json").read_text())
    assert "temperature" not in saved
    assert (result.folder / "best" / "model.safetensors").is_file()


def test_an_anyres_base_without_its_grid_is_refused_before_it_trains(box: Box, tmp_path: Path) -> None:
    base = box.altered(tmp_path / "base", image_grid_pinpoints=None)

    with pytest.raises(InputRefused, match="no image_grid_pinpoints"):
        box.train(tmp_path / "run", f"model.base={base}")

    assert not list(tmp_path.glob("run/checkpoint-*"))


def test_four_bits_without_a_gpu_are_refused_with_what_works_here(box: Box, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="bitsandbytes") as refused:
        box.train(tmp_path / "run", "model.method=qlora")

    assert "model.method=lora" in refused.value.render()


@pytest.mark.parametrize(
    ("base", "method"), [("next", "lora"), ("plain", "projector"), ("mistral", "lora"), ("tuned", "full")]
)
def test_the_first_checkpoint_is_exported_and_loaded_after_one_step(
    box: Box, tmp_path: Path, base: str, method: str
) -> None:
    from vldock.image.training.loop import monitor

    words = (f"model.base={box.root / base}", f"model.method={method}", "train.heldout_samples=1")
    box.train(tmp_path / "run", "train.proof=full", "train.max_steps=1", *words)

    proof = next(line for line in monitor.read(tmp_path / "run" / monitor.LOG) if line["event"] == "proof")
    assert "exported and loaded" in proof["proven"]
    assert not (tmp_path / "run" / ".proof").exists()


def test_a_tower_that_was_trained_is_the_checkpoints_and_is_exported(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.model import export
    from vldock.image.training.model import load as model_load
    from vldock.image.training.model.precision import DTYPES

    config = box.config(tmp_path, f"model.base={box.root / 'tuned'}", "model.method=full")
    loaded = model_load.load(config, device="cpu")
    export.write(loaded, tmp_path / "out", DTYPES["fp32"])

    again = export.require_loads(tmp_path / "out")

    for one in (loaded, again):
        norm = one.inner.get_vision_tower().vision_tower.vision_model.pre_layrnorm.weight
        assert set(norm.tolist()) == {7.0}


def test_a_first_checkpoint_that_cannot_be_loaded_ends_the_training_at_step_1(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vldock.image.training.model import checkpoint

    monkeypatch.setattr(checkpoint, "read", lambda folder, config: {})

    with pytest.raises(InputRefused, match="does not hold what was trained"):
        box.train(tmp_path / "run")


class Killed(Exception):
    pass


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bits(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vldock.image.training.loop import monitor, trainer

    words = ("train.max_steps=5", "train.accumulation=2", "model.lora_dropout=0.3")
    whole = box.train(tmp_path / "whole", *words)
    step = trainer.FineTuner.training_step

    def dies(self: Any, *args: Any) -> Any:
        if self.state.global_step == 3:
            raise Killed
        return step(self, *args)

    monkeypatch.setattr(trainer.FineTuner, "training_step", dies)
    with pytest.raises(Killed):
        box.train(tmp_path / "parts", *words)
    monkeypatch.setattr(trainer.FineTuner, "training_step", step)
    (tmp_path / "parts" / "tmp-checkpoint-4").mkdir()
    parts = box.train(tmp_path / "parts", *words)

    assert (whole.resumed_from, parts.resumed_from) == (None, 2)
    assert weights_of(whole.folder / "last") == weights_of(parts.folder / "last")
    losses = [
        [line["loss"] for line in monitor.read(run.folder / monitor.LOG) if line["event"] == "step"]
        for run in (whole, parts)
    ]
    assert losses[0] == losses[1]
    assert not (tmp_path / "parts" / "tmp-checkpoint-4").exists()


def test_a_folder_of_another_run_is_not_continued(box: Box, tmp_path: Path) -> None:
    box.train(tmp_path / "run", "train.max_steps=1")

    with pytest.raises(UsageError, match=r"train\.learning_rate was 0\.001, is 0\.5"):
        box.train(tmp_path / "run", "train.max_steps=1", "train.learning_rate=0.5")


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from vldock.image.training.loop import trainer

    compute, sizes = trainer.FineTuner.compute_loss, []

    def full(self: Any, model: Any, inputs: Any, return_outputs: bool = False) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return compute(self, model, inputs, return_outputs)

    monkeypatch.setattr(trainer.FineTuner, "compute_loss", full)
    result = box.train(tmp_path / "run", "train.batch_size=4", "train.max_steps=1")

    assert (result.steps, sizes[:3], set(sizes[2:])) == (1, [4, 2, 1], {1})


def test_one_row_that_does_not_fit_is_told_with_what_to_lower() -> None:
    from vldock.image.training import fit

    with pytest.raises(EnvironmentUnfit) as refused:
        fit.halve_batch(1, RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))

    assert "2 GiB" in refused.value.message
    assert "model.method=qlora" in refused.value.render()


def test_a_loss_that_is_no_number_ends_the_training(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vldock.image.training.loop import trainer

    compute = trainer.FineTuner.compute_loss
    monkeypatch.setattr(trainer.FineTuner, "compute_loss", lambda *given: compute(*given) * float("nan"))

    with pytest.raises(trainer.Diverged, match="the loss is nan at step 1"):
        box.train(tmp_path / "run")


@pytest.mark.parametrize(
    ("scores", "stops"),
    [
        ([0.1, 0.2, 0.3], False),
        ([0.1, 0.5, 0.4, 0.5], True),
        ([0.5, 0.4], False),
        ([], False),
        ([0.1, 0.5, 0.4], False),
    ],
    ids=["better", "not better twice", "too few", "none", "once"],
)
def test_it_stops_after_patience_scores_without_a_better_one(scores: list[float], stops: bool) -> None:
    from vldock.image.training.loop import monitor

    assert monitor.has_stalled(scores, 2) is stops
    assert monitor.has_stalled(scores, 0) is False


def test_the_preflight_passes_a_good_training_and_tells_what_it_saw(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.checks import preflight as training_preflight

    made = box.config(tmp_path / "run")
    said: list[str] = []

    status = training_preflight.report(made, box.data(made), log=said.append)

    assert status == 0, "\n".join(said)
    assert any("4x4 = 16 patches + CLS" in line for line in said)
    assert said[-1].startswith("preflight: 13 of 13")
    assert not (tmp_path / "run").exists()


def test_the_preflight_names_a_held_out_picture_that_is_trained_on(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.checks import preflight as training_preflight

    data = box.data(box.config(tmp_path / "run"))

    found = training_preflight.check_leak(dataclasses.replace(data, heldout=data.training[:1]))

    assert (found.status, found.seen.split(",")[0]) == ("fail", "1 in both")


def test_the_preflight_sees_a_processor_of_another_tower(box: Box) -> None:
    from vldock.image.training.checks import preflight as training_preflight

    loaded, _, _ = encoded(box, "plain")
    loaded.processor.crop_size = {"height": 336, "width": 336}

    found = training_preflight.check_geometry(loaded)

    assert (found.status, "336x336" in found.seen) == ("fail", True)


def test_the_run_page_has_plots_and_says_how_it_ended(run: Path) -> None:
    page = (run / "page.html").read_text()

    plots = {path.name for path in (run / "plots").iterdir()}
    assert {"loss.png", "accuracy.png", "gradient_norm.png"} <= plots
    assert page.count("data:image/png;base64,") == len(plots)
    assert "held-out accuracy" in page
    assert "http" not in page


@pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning")  # VLMEvalKit's temperature=0
def test_an_exported_model_answers_in_vlmevalkits_wrapper_as_in_training(box: Box, run: Path, tmp_path: Path) -> None:
    from vldock.image.training.model import export
    from vldock.image.vlmeval_hooks.models.own_llava import OwnLLaVA

    folder = export.export(run, tmp_path / "out" / "llava-tiny", dtype="fp32")
    answers = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    record = next(one for one in box.data(box.config(tmp_path)).heldout if one.id == answers[0]["id"])
    with pytest.warns(UserWarning, match="Following kwargs received"):
        wrapper = OwnLLaVA(str(folder), max_new_tokens=3)
    image = {"type": "image", "value": str(record.pictures[0].path)}

    answer = wrapper.generate_inner([image, {"type": "text", "value": record.question}])

    assert answer == answers[0]["given"]
    assert "image_grid_pinpoints" in json.loads((folder / "config.json").read_text())


def test_labels_of_a_hub_copy_are_read_by_their_names_and_not_by_their_order() -> None:
    """nelorth/oxford-flowers sorts the numbers as text: its class 1 is the original's 10."""
    import datasets
    from PIL import Image

    from vldock.image.training.data import oxford_flowers

    names = sorted(map(str, range(1, 103)))
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {"image": [Image.new("RGB", (9, 9))] * 2, "label": [0, 1]}
    hub = datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, features=features)})

    found = oxford_flowers.from_hub("x/y", load=lambda name: hub)

    assert [flower.name for flower in found.splits["train"]] == ["pink primrose", "globe thistle"]
    assert found.splits["train"][1].picture.read()[:4] == b"\x89PNG"
