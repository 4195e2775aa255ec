"""xformers' attention on a CPU: SDPA's values, and stock behaviour for everything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import xformers.ops

from vldock.image.vlmeval_hooks.process import cpu_attention

pytest_plugins = ["remote_code_fixture"]
STOCK = xformers.ops.memory_efficient_attention


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    """The hook, for one test."""
    cpu_attention.install()
    yield
    xformers.ops.memory_efficient_attention = STOCK


def states() -> list[torch.Tensor]:
    """Return query, key and value of two sequences, five places, three heads of 112 as CogVLM's."""
    return [torch.randn(2, 5, 3, 112, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]


def test_stock_xformers_has_no_operator_here() -> None:
    with pytest.raises(NotImplementedError, match="No operator found"):
        STOCK(*states())


def test_it_is_softmax_attention_over_the_second_axis() -> None:
    query, key, value = states()

    weights = torch.einsum("bqhd,bkhd->bhqk", query * 0.5, key).softmax(-1)

    expected = torch.einsum("bhqk,bkhd->bqhd", weights, value)
    torch.testing.assert_close(xformers.ops.memory_efficient_attention(query, key, value, scale=0.5), expected)


def test_an_xformers_bias_is_left_to_xformers() -> None:
    with pytest.raises(NotImplementedError, match="No operator found"):
        xformers.ops.memory_efficient_attention(*states(), attn_bias=xformers.ops.LowerTriangularMask())


def test_installing_it_twice_wraps_once() -> None:
    first = xformers.ops.memory_efficient_attention

    cpu_attention.install()

    assert xformers.ops.memory_efficient_attention is first


def test_cogvlms_wrapper_installs_it(load: Any) -> None:
    xformers.ops.memory_efficient_attention = STOCK

    load("CogVlm")

    assert xformers.ops.memory_efficient_attention is not STOCK
