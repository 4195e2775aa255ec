"""Packages that a remote-code file imports, checked before it runs.

transformers 4.37.2 drops imports in try/except and takes any other for required, that below
`if is_flash_attn_2_available():` too; later releases drop it. Source: dynamic_module_utils.py, get_imports() and
check_imports().
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit

OPTIONAL = re.compile(r"is_flash_attn\w*available")


def required_imports(path: Path, upstream: Callable[[Path], Iterable[str]]) -> list[str]:
    """Return the packages `upstream` (get_imports) finds, less those imported for flash-attention only."""
    found = sorted(upstream(path))
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return found  # its import will tell
    optional, required = set(_imported(_flash_blocks(tree))), set(_imported([tree]))
    return [name for name in found if name in required or name not in optional]


def check_imports(path: Path, names: Iterable[str]) -> None:
    """Import the packages; raise EnvironmentUnfit, naming file and packages, where one cannot be imported."""
    failed = [f"{name} ({reason})" for name in names if (reason := _failure(name))]
    if failed:
        raise EnvironmentUnfit(
            f"remote code {path.name} of {path.parent} imports {', '.join(failed)}",
            expected="packages of this image (docs/trust/remote-code.md)",
            hint="use the revision that locks/weights.json pins: vldock check weights MODEL --cache FOLDER",
        )


def _failure(name: str) -> str | None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return "not in this image" if error.name == name else f"fails: {error}"
    except ImportError as error:
        return f"fails: {error}"
    return None


def _flash_blocks(tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _asks_for_flash(node.test):
            yield from node.body


def _asks_for_flash(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(_asks_for_flash, test.values))
    name = test.func if isinstance(test, ast.Call) else None
    text = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
    return OPTIONAL.fullmatch(text) is not None


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the packages imported in `nodes`, outside flash-attention's blocks within them and try/except."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from [(node.module or "").partition(".")[0]] if not node.level else []
        elif isinstance(node, ast.If) and _asks_for_flash(node.test):
            yield from _imported(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _imported([*node.handlers, *node.orelse, *node.finalbody])
        else:
            yield from _imported(ast.iter_child_nodes(node))
