"""Libraries with files removed still serve evaluation and training on a CPU."""

from __future__ import annotations

import ctypes
import io
import json
from pathlib import Path

import pytest
from conftest import FreshPython

DLOPEN_ALL = """
import ctypes, json, sys, warnings
import torch
from pathlib import Path
broken = {}
for library in sorted(Path(torch.__file__).parents[1].glob("nvidia/*/lib/*.so*")):
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        broken[library.name] = str(error)
print(json.dumps(broken))
"""


def test_every_cuda_library_that_was_kept_finds_what_it_links(fresh_python: FreshPython) -> None:
    done = fresh_python(DLOPEN_ALL)
    broken = json.loads(done.stdout.splitlines()[-1])

    without_driver = {name: why for name, why in broken.items() if "libcuda.so" not in why}

    assert without_driver == {}


def test_torch_multiplies_convolves_and_differentiates() -> None:
    import torch

    image = torch.ones(1, 3, 8, 8, requires_grad=True)
    with torch.enable_grad():  # VLMEvalKit turns gradients off for the whole process that imports it
        torch.nn.functional.conv2d(image, torch.ones(2, 3, 3, 3)).sum().backward()

    assert image.grad is not None
    assert image.grad[0, 0, 4, 4].item() == 18.0


def test_torch_finds_singular_values() -> None:
    import torch

    assert torch.allclose(torch.linalg.svdvals(torch.diag(torch.tensor([3.0, 2.0]))), torch.tensor([3.0, 2.0]))


def test_bitsandbytes_has_the_library_of_torch_s_cuda() -> None:
    import bitsandbytes

    kept = {path.name for path in Path(bitsandbytes.__file__).parent.glob("libbitsandbytes_*.so")}

    assert {"libbitsandbytes_cpu.so", "libbitsandbytes_cuda121.so"} <= kept


def test_the_layers_of_4_bit_training_can_be_built() -> None:
    import bitsandbytes as bnb

    assert bnb.nn.Linear4bit(8, 8, quant_type="nf4").weight.shape == (8, 8)


def test_peft_wraps_a_linear_layer() -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(4, 4)), LoraConfig(r=2, target_modules=["0"]))

    assert model(torch.ones(1, 4)).shape == (1, 4)


def test_xformers_attention_agrees_with_torch() -> None:
    """CogVLM's remote code calls it; its CUTLASS kernels need a GPU, so here only that its C library loads."""
    import xformers.ops

    assert xformers.ops.memory_efficient_attention is not None


def test_triton_s_compiler_library_loads() -> None:
    from triton._C import libtriton

    assert ctypes.CDLL(libtriton.__file__)


def test_pyarrow_and_datasets_round_trip(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict({"a": [1, 2]}).to_parquet(str(tmp_path / "a.parquet"))

    assert Dataset.from_parquet(str(tmp_path / "a.parquet"), cache_dir=str(tmp_path))["a"] == [1, 2]


def test_matplotlib_draws_without_its_sample_data() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots()
    axes.plot([0, 1])
    figure.savefig(target := io.BytesIO(), format="png")
    plt.close(figure)

    assert target.getvalue().startswith(b"\x89PNG")


def test_opencv_encodes_without_a_display() -> None:
    import cv2
    import numpy as np

    assert cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[0]


def test_decord_opens_its_native_library() -> None:
    import decord

    assert decord.cpu(0).device_type == 1


def test_sentencepiece_and_protobuf_work_together() -> None:
    from transformers.convert_slow_tokenizer import import_protobuf

    assert import_protobuf().ModelProto is not None


@pytest.mark.parametrize("suffix", ["xlsx", "tsv"])
def test_vlmevalkit_writes_and_reads_its_tables(suffix: str, tmp_path: Path) -> None:
    import pandas as pd
    from vlmeval.smp import dump, load

    path = str(tmp_path / f"table.{suffix}")
    dump(pd.DataFrame({"index": [1, 2], "prediction": ["한국어", "Yes"]}), path)

    assert list(load(path)["prediction"]) == ["한국어", "Yes"]
