"""Models of a user's own file: the example of the documentation, and what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image.__main__ import main
from vldock.image.features import lookup, picture_rows, shards
from vldock.image.features.cache import FeatureCache
from vldock.image.features.model_choice import ModelChoice, open_model

EXAMPLE = Path(__file__).with_name("vilt_code.py")  # of docs/use/features.md
COLOURS = """
import torch

class Mean:
    identity, layer, computed = "mean colour", "only", "float32"

    def encode(self, pixels):
        return pixels.mean(dim=(2, 3)).unsqueeze(1)

class Small:
    def settings(self):
        return "8 x 8"

    def __call__(self, image):
        return torch.tensor(list(image.resize((8, 8)).tobytes())).view(8, 8, 3).permute(2, 0, 1) / 255

def open_model():
    return Mean(), Small()
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two pictures of one row, two instructions."""
    for index in range(2):
        Image.linear_gradient("L").rotate(60 * index).convert("RGB").save(tmp_path / f"{index}.png")
    said = [{"image": ["0.png", "1.png"], "instruction": text} for text in ("a cat", "the dog")]
    (tmp_path / "rows.json").write_text(json.dumps(said))
    return tmp_path / "rows.json"


def tiny_vilt(folder: Path) -> str:
    """Make a random ViLT with its tokenizer: no LLaVA, one stream of text and patches."""
    import transformers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "the", "cat", "dog"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    images = transformers.ViltImageProcessor(size={"shortest_edge": 64}, size_divisor=32)
    config = transformers.ViltConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=64, patch_size=32, max_image_length=-1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.ViltModel(config).save_pretrained(folder)
    transformers.ViltProcessor(images, tokenizer).save_pretrained(folder)
    return str(folder)


def test_the_documented_example_builds_features_of_a_model_that_is_no_llava(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vilt").mkdir()
    monkeypatch.setenv("VILT", tiny_vilt(tmp_path / "vilt"))

    status = main(["features", "build", "--model-code", str(EXAMPLE), "--json", str(rows), "--prompt-key",
                   "instruction", "--cache", f"{tmp_path}/cache"])  # fmt: skip

    model, processor = open_model(ModelChoice(code=str(EXAMPLE), prompted=True))
    wanted = picture_rows.from_json(rows, prompt_key="instruction")
    (space,) = {shards.read_header(path).space for path in shards.find_shards(tmp_path / "cache")}
    with FeatureCache(tmp_path / "cache", space) as cache:
        keys = lookup.index_rows(cache)
        found = [cache.get(keys[row.prompt, row.dataset, row.vlm_idx]) for row in wanted]
    fresh = [model.encode_prompted(processor(picture_rows.decode(r.path.read_bytes())), r.prompt) for r in wanted]
    assert (status, [r.vlm_idx for r in wanted]) == (0, [0, 1, 2, 3])
    assert all(torch.equal(one, other.half()) for one, other in zip(found, fresh, strict=True))
    assert len({tuple(one.flatten().tolist()) for one in found}) == 4


def test_the_code_is_part_of_the_key(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(COLOURS)
    model, _ = open_model(ModelChoice(code=f"{tmp_path}/code.py"))
    (tmp_path / "code.py").write_text(COLOURS + "# edited")
    edited, _ = open_model(ModelChoice(code=f"{tmp_path}/code.py"))

    code = hashlib.sha256(COLOURS.encode()).hexdigest()
    assert model.identity == hashlib.sha256(f"mean colour {code}".encode()).hexdigest()
    assert edited.identity != model.identity


def test_other_code_runs_where_neither_transformers_nor_llava_is(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(COLOURS)
    absent = ("transformers", "llava", "vlmeval", "huggingface_hub", "tokenizers", "bitsandbytes")
    words = f"features build --model-code {tmp_path}/code.py --json {rows} --cache {tmp_path}/c".split()
    text = f"import sys; sys.modules |= dict.fromkeys({absent}); from vldock.image.__main__ import main; main({words})"

    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)

    assert "of 4 rows 4 computed, 0 cached before" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", "defines no open_model"),
        ("def open_model(): return 7", "returned a int"),
        (
            "def open_model(): return object(), print",
            "lacks identity, layer, computed, encode, processor.settings",
        ),
        (COLOURS, "lacks encode_prompted"),
    ],
    ids=["no function", "no pair", "no members", "no prompts"],
)
def test_a_file_without_the_interface_is_refused_by_what_it_lacks(code: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(code)

    with pytest.raises(InputRefused, match=words):
        open_model(ModelChoice(code=f"{tmp_path}/code.py", prompted=code == COLOURS))


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        open_model(ModelChoice(code=f"{tmp_path}/none.py"))


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-VL-3B-Instruct", "Salesforce/blip2-opt-2.7b", "InternVL2-2B"])
@pytest.mark.parametrize("prompted", [False, True])
def test_another_model_s_name_is_refused_with_what_works(name: str, prompted: bool) -> None:
    with pytest.raises(InputRefused) as refused:
        open_model(ModelChoice(name, prompted=prompted))

    assert "--model-code FILE.py" in (refused.value.hint or "")
    assert "features import" in (refused.value.hint or "")
    assert "\n" not in refused.value.message + (refused.value.hint or "")
