"""Check the patched LLaVA in this fresh process.

Import, attention, and one tiny generate() with an image on the CPU.

An import alone does not see a transformers drift (4.38 imports, then fails in generate()). The checkpoint is random and
made here, a few hundred kilobytes in a temporary folder whose name says nothing of LLaVA.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import torch

HIDDEN, SIDE, PATCH = 32, 28, 14


def make_tower(folder: Path) -> None:
    """Write a random CLIP vision tower.

    It takes 28x28 pixels in patches of 14, so it has 4 patches and CLS.
    """
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    shape = {"hidden_size": HIDDEN, "intermediate_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2}
    CLIPVisionModel(CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, **shape)).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=size).save_pretrained(folder)


def make_tokenizer(folder: Path) -> int:
    """Write a tiny SentencePiece tokenizer in LLaMA's form and return its vocabulary size."""
    import sentencepiece
    from transformers import LlamaTokenizer

    corpus = folder / "corpus.txt"
    corpus.write_text("USER: what is in the picture? ASSISTANT: a cat.\n" * 20, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), vocab_size=300, hard_vocab_limit=False,
        byte_fallback=True, minloglevel=2,
    )  # fmt: skip
    tokenizer = LlamaTokenizer(str(folder / "tokenizer.model"))
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def make_checkpoint(folder: Path, tower: Path) -> None:
    """Write a random LLaVA checkpoint with `tower` as its vision tower."""
    from llava.model import LlavaConfig, LlavaLlamaForCausalLM

    vocabulary = make_tokenizer(folder)
    config = LlavaConfig(
        vocab_size=vocabulary, hidden_size=HIDDEN, intermediate_size=HIDDEN, num_hidden_layers=2, num_attention_heads=2,
        mm_vision_tower=str(tower), mm_hidden_size=HIDDEN, mm_projector_type="mlp2x_gelu", mm_vision_select_layer=-2,
        mm_use_im_patch_token=False, mm_use_im_start_end=False, use_mm_proj=True, image_aspect_ratio="pad",
    )  # fmt: skip
    model = LlavaLlamaForCausalLM(config)
    # the tower is not part of a LLaVA checkpoint
    model.save_pretrained(folder)


def answer(folder: Path) -> tuple[Any, Any]:
    """Load the checkpoint and generate from an image.

    The checkpoint is loaded as VLMEvalKit does it. Returns (model, new token ids).
    """
    from llava.constants import IMAGE_TOKEN_INDEX
    from llava.mm_utils import get_model_name_from_path, tokenizer_image_token
    from llava.model.builder import load_pretrained_model

    name = get_model_name_from_path(str(folder))
    tokenizer, model, processor, _ = load_pretrained_model(str(folder), None, name, device="cpu")
    if processor is None:
        raise AssertionError("the folder was not recognised as a LLaVA checkpoint: no image processor")
    prompt = tokenizer_image_token("USER: <image>\nwhat? ASSISTANT:", tokenizer, IMAGE_TOKEN_INDEX, return_tensors="pt")
    image = torch.zeros(1, 3, SIDE, SIDE, dtype=model.dtype)
    return model, model.generate(prompt.unsqueeze(0), images=image, do_sample=False, max_new_tokens=3)


def check() -> str:
    """Return one summary line; raise AssertionError at the first fault."""
    if importlib.util.find_spec("flash_attn") is not None:
        # transformers looks at it only where there is a GPU: a broken build must fail here and not there
        importlib.import_module("flash_attn")
    import llava
    import numpy

    if not hasattr(llava, "LlavaLlamaForCausalLM"):
        raise AssertionError("`import llava` does not import the model")
    torch.from_numpy(numpy.zeros(1))
    with tempfile.TemporaryDirectory() as temporary:
        tower, folder = Path(temporary, "tower"), Path(temporary, "run-3")
        tower.mkdir()
        folder.mkdir()
        make_tower(tower)
        make_checkpoint(folder, tower)
        model, tokens = answer(folder)
    seen = {
        "attention": (model.config._attn_implementation, "sdpa"),
        "model dtype": (model.dtype, torch.float32),
        "tower dtype": (model.get_vision_tower().dtype, torch.float32),
        "projector dtype": (next(model.get_model().mm_projector.parameters()).dtype, torch.float32),
    }
    wrong = [f"{what} is {is_}, not {wanted}" for what, (is_, wanted) in seen.items() if is_ != wanted]
    if wrong or tokens.shape[0] != 1:
        raise AssertionError("; ".join(wrong) or f"generate() gave shape {tuple(tokens.shape)}")
    return f"llava verified: {llava.__path__[0]}, sdpa, float32 on cpu, generate() of {tokens.shape[1]} tokens"


if __name__ == "__main__":
    print(check())
    sys.exit(0)
