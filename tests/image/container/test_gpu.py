"""Checks only a machine with an NVIDIA GPU can make."""

from __future__ import annotations

import ctypes
import gc
import os

import pytest

pytestmark = pytest.mark.gpu


@pytest.fixture
def torch():
    import torch

    torch.manual_seed(0)
    return torch


def test_this_gpu_is_one_the_image_was_built_for(torch) -> None:
    from vldock.image.doctor.hardware import runs_on

    for index in range(torch.cuda.device_count()):
        assert runs_on(torch.cuda.get_device_capability(index), tuple(torch.cuda.get_arch_list()))


def test_half_precision_products_match_single_precision_ones(torch) -> None:
    left, right = torch.randn(512, 512), torch.randn(512, 512)
    exact = left @ right

    product = (left.half().cuda() @ right.half().cuda()).float().cpu()

    assert ((product - exact).abs().max() / exact.abs().max()).item() < 5e-3


def test_half_precision_convolutions_match_single_precision_ones(torch) -> None:
    image, kernel = torch.randn(2, 3, 56, 56), torch.randn(16, 3, 14, 14)
    exact = torch.nn.functional.conv2d(image, kernel, stride=14)

    patches = torch.nn.functional.conv2d(image.half().cuda(), kernel.half().cuda(), stride=14).float().cpu()

    assert ((patches - exact).abs().max() / exact.abs().max()).item() < 5e-3


@pytest.mark.parametrize("length", [1, 64, 641])
def test_a_fused_kernel_computes_the_attention_and_not_the_math_fallback(torch, length: int) -> None:
    query, key, value = (torch.randn(1, 4, n, 128, dtype=torch.half, device="cuda") for n in (length, 641, 641))
    with torch.backends.cuda.sdp_kernel(enable_flash=False, enable_math=True, enable_mem_efficient=False):
        written_out = torch.nn.functional.scaled_dot_product_attention(query.float(), key.float(), value.float())

    with torch.backends.cuda.sdp_kernel(enable_flash=True, enable_math=False, enable_mem_efficient=True):
        fused = torch.nn.functional.scaled_dot_product_attention(query, key, value)

    assert (fused.float() - written_out).abs().max().item() < 5e-3


def test_a_masked_attention_is_fused_too(torch) -> None:
    """transformers passes a mask whenever it has padding: flash cannot take it, the memory-efficient kernel does."""
    query = torch.randn(1, 4, 64, 128, dtype=torch.half, device="cuda")
    mask = torch.ones(1, 1, 64, 64, dtype=torch.bool, device="cuda").tril()

    with torch.backends.cuda.sdp_kernel(enable_flash=True, enable_math=False, enable_mem_efficient=True):
        result = torch.nn.functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)

    assert torch.isfinite(result).all()


def test_torch_sees_as_many_gpus_as_the_driver(torch) -> None:
    nvml, count = ctypes.CDLL("libnvidia-ml.so.1"), ctypes.c_uint()
    assert nvml.nvmlInit_v2() == 0
    assert nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0

    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    expected = count.value if chosen is None else len(chosen.split(","))
    assert torch.cuda.device_count() == expected


def test_memory_is_given_back(torch) -> None:
    before = torch.cuda.memory_allocated()
    block = torch.empty(64 * 2**20, dtype=torch.uint8, device="cuda")
    assert torch.cuda.memory_allocated() >= before + 64 * 2**20

    del block
    gc.collect()
    torch.cuda.empty_cache()

    assert torch.cuda.memory_allocated() == before


def test_sdpa_and_eager_llama_give_the_same_logits(torch) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    eager = LlamaForCausalLM._from_config(config, attn_implementation="eager").half().cuda().eval()
    sdpa = LlamaForCausalLM._from_config(config, attn_implementation="sdpa").half().cuda().eval()
    sdpa.load_state_dict(eager.state_dict())
    tokens = torch.randint(1, 64, (2, 40), device="cuda")

    with torch.inference_mode():
        difference = (eager(tokens).logits - sdpa(tokens).logits).abs().max().item()

    assert difference < 1e-2


def test_bitsandbytes_quantises_to_4_bits_and_back(torch) -> None:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weights = torch.randn(64, 64, dtype=torch.half, device="cuda")
    packed, state = quantize_4bit(weights, quant_type="nf4")

    assert (dequantize_4bit(packed, state) - weights).abs().mean().item() < 0.15


def test_xformers_attention_agrees_with_torch(torch) -> None:
    import xformers.ops

    query = torch.randn(1, 64, 4, 64, dtype=torch.half, device="cuda")
    expected = torch.nn.functional.scaled_dot_product_attention(*[query.transpose(1, 2)] * 3).transpose(1, 2)

    seen = xformers.ops.memory_efficient_attention(query, query, query)

    assert (seen - expected).abs().max().item() < 5e-3
