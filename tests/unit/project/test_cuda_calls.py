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


def imports_cuda(node: ast.AST) -> bool:
    """Return whether a node imports torch.cuda, or a name of it."""
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return False
    names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
    return any(name.startswith("torch.cuda") for name in names) or (names[0] == "torch" and "cuda" in names)


def wrong_uses(source: str) -> Iterator[str]:
    """Yield every use of torch.cuda with a device, or hidden by a name, argument or import."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    owners = {id(node.value) for node in attributes}
    yield from (ast.unparse(node) for node in ast.walk(tree) if imports_cuda(node))
    for node in attributes:
        if ast.unparse(node.value) == "torch.cuda" and not is_allowed(node.attr, called.get(id(node))):
            yield ast.unparse(called.get(id(node)) or node)
        elif ast.unparse(node) == "torch.cuda" and id(node) not in owners:
            yield ast.unparse(node)


def is_allowed(name: str, call: ast.Call | None) -> bool:
    """Return whether a name of torch.cuda is a type, or a function called without an argument."""
    plain = call is not None and not call.args and not call.keywords
    return name in TYPES or (name in ALLOWED and plain)


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
