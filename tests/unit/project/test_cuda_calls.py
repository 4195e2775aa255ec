"""One module calls torch.cuda functions with a device.

Elsewhere an index-less `cuda` would reach them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

IMAGE = ROOT / "src" / "vldock" / "image"
OWNER = IMAGE / "cuda_device.py"
ALLOWED = {"is_available", "is_initialized", "device_count", "get_arch_list", "empty_cache", "synchronize"}
TYPES = {"OutOfMemoryError"}  # raised and caught, of no device


def wrong_uses(source: str) -> Iterator[str]:
    """Yield every use of torch.cuda with a device, or hidden by a name, argument or import."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    owners = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if any(name.startswith("torch.cuda") for name in names) or (names[0] == "torch" and "cuda" in names):
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "torch.cuda":
            call = called.get(id(node))
            plain = call is not None and not call.args and not call.keywords
            if node.attr not in TYPES and not (node.attr in ALLOWED and plain):
                yield ast.unparse(call or node)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.cuda" and id(node) not in owners:
            yield ast.unparse(node)


OTHERS = sorted(path for path in IMAGE.rglob("*.py") if path != OWNER)


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(IMAGE)))
def test_only_one_module_hands_a_device_to_torch_cuda(path: Path) -> None:
    assert list(wrong_uses(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "torch.cuda.mem_get_info(device)",
        "torch.cuda.synchronize(device)",
        "torch.cuda.max_memory_allocated()",
        "free = torch.cuda.mem_get_info",
        "from torch import cuda",
        "from torch.cuda import mem_get_info",
        "import torch.cuda as gpu",
        "gpu = torch.cuda",
    ],
)
def test_a_call_past_that_module_is_found(line: str) -> None:
    assert list(wrong_uses(line)) != []
