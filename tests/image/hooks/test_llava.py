"""`import llava` imports the model, and an import error inside LLaVA keeps its cause."""

from __future__ import annotations

import pytest
from conftest import FreshPython

IMPORT = """
import llava, sys
print(llava.LlavaLlamaForCausalLM)
print(sorted({'deepspeed', 'flash_attn', 'gradio'} & set(sys.modules)))
"""


def test_import_llava_imports_the_model_itself_and_nothing_it_does_not_need(fresh_python: FreshPython) -> None:
    done = fresh_python(IMPORT)

    assert done.returncode == 0, done.stderr
    model, unneeded = done.stdout.splitlines()
    assert "llava.model.language_model.llava_llama.LlavaLlamaForCausalLM" in model
    assert unneeded == "[]"


@pytest.mark.layout
def test_the_real_cause_of_a_broken_import_is_shown(fresh_python: FreshPython) -> None:
    broken = "sys.modules['transformers.models.llama.modeling_llama'] = None\nimport llava"

    done = fresh_python(f"import sys, transformers\n{broken}")

    assert done.returncode != 0
    assert "transformers.models.llama" in done.stderr.strip().splitlines()[-1]


def test_no_flash_attn_can_be_imported() -> None:
    import importlib.util

    assert importlib.util.find_spec("flash_attn") is None


def test_numpy_and_torch_exchange_arrays() -> None:
    """A numpy of 2.x imports and fails here, after every import check has passed."""
    import numpy as np
    import torch

    assert torch.from_numpy(np.arange(4.0)).sum().item() == 6.0
