"""Names defined below src/vldock, read from the sources.

Nothing is imported, so no torch is needed. `flaws` checks code or text that names vldock modules in a way no import
reaches: patches' inserted text, tests that run in the container, strings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.paths import ROOT

SOURCE = ROOT / "src"
IMPORTED = re.compile(r"^[ \t]*from (vldock[\w.]*) import (\([^)]*\)|[^\n#\\]+)", re.MULTILINE)
OF_MODULES = {"__name__", "__file__", "__doc__", "__path__", "__dict__"}
UNCHANGED = {"contextmanager", "functools.cache", "cache"}  # decorators that take what the function takes
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def path_of(module: str) -> Path | None:
    """Return the file of a dotted module, or None.

    The file is the module, a package's __init__.py, or a folder without one.
    """
    path = SOURCE / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py", path) if file.exists()), None)


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names bound by statements, those under if, try and with too."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.partition(".")[0], alias) for alias in node.names)
        else:
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    yield part.id, part
            nested = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            yield from _bound(nested)


@cache
def bindings(module: str) -> dict[str, ast.AST]:
    """Return {name: its binding node} of a module."""
    path = path_of(module)
    return dict(_bound(ast.parse(path.read_text(encoding="utf-8")).body)) if path and path.is_file() else {}


def find(dotted: str) -> ast.AST | None:
    """Return the node of a dotted name, ast.Module() for a module, or None."""
    module, names = dotted, list[str]()
    while path_of(module) is None:
        module, dot, name = module.rpartition(".")
        if not dot:
            return None
        names.insert(0, name)
    found: ast.AST = ast.Module(body=[], type_ignores=[])
    if names and names[0] not in OF_MODULES:
        if names[0] not in bindings(module):
            return None
        found = bindings(module)[names[0]]
    return _member(found, names[1]) if len(names) > 1 and isinstance(found, ast.ClassDef) else found


def _member(owner: ast.ClassDef, name: str) -> ast.AST | None:
    """Return the node of a class member, or None.

    Where the member may be inherited, it is the class itself.
    """
    fields = {part.attr for part in ast.walk(owner) if isinstance(part, ast.Attribute)}
    inherited = bool(owner.bases) or name in fields or name.startswith("__")
    return dict(_bound(owner.body)).get(name, owner if inherited else None)


def imported(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names of each `from vldock... import ...` in a text.

    Each is (local name, dotted name). The text need not be a whole file.
    """
    for match in IMPORTED.finditer(text):
        names = re.sub(r"#.*", "", match[2]).strip("() \t\n")
        for part in filter(None, (part.strip() for part in names.split(","))):
            name, _, local = part.partition(" as ")
            yield (local or name).strip(), f"{match[1]}.{name.strip()}"


def flaws(text: str) -> Iterator[str]:
    """Yield a text's missing or wrongly called names of vldock."""
    targets = dict[str, set[str]]()
    for local, dotted in imported(text):
        targets.setdefault(local, set()).add(dotted)
        if find(dotted) is None:
            yield f"{dotted} is not there"
    for local, dotted_names in targets.items():
        if modules := [dotted for dotted in dotted_names if path_of(dotted)]:
            yield from _attribute_flaws(local, modules, text)
        elif (node := find(next(iter(dotted_names)))) is not None:
            for match in re.finditer(rf"(?<![\w.\"'/-])(?<!def ){local}\(", text):
                yield from _call_flaws(local, node, text[match.start() :])


def _attribute_flaws(local: str, modules: list[str], text: str) -> Iterator[str]:
    """Yield each missing or wrongly called `local.name`, and each missing `setattr(local, "name"`."""
    used = re.finditer(rf"(?<![\w.\"'/-]){local}\.([A-Za-z_]\w*)(\(?)", text)
    replaced = re.finditer(rf"(?:set|del)attr\(\s*{local}, \"(\w+)()\"", text)
    for match in (*used, *replaced):
        found = [node for module in modules if (node := find(f"{module}.{match[1]}")) is not None]
        if not found:
            yield f"{local}.{match[1]} is not there: {', '.join(modules)}"
        elif match[2]:
            yield from _call_flaws(f"{local}.{match[1]}", found[0], text[match.start() :])


def _call_flaws(name: str, node: ast.AST, text: str) -> Iterator[str]:
    """Yield why a text's first call does not fit its function or dataclass."""
    if isinstance(node, ast.Module):
        yield f"{name} is a module and is called"
    call, parameters = _first_call(text), _parameters(node)
    if call is None or parameters is None:
        return
    positional, keywords = parameters
    for keyword in call.keywords:
        if keyword.arg and keyword.arg not in keywords:
            yield f"{name}() takes no argument {keyword.arg}"
    if len(call.args) > positional:
        yield f"{name}() takes fewer arguments than {len(call.args)}"


def _parameters(node: ast.AST) -> tuple[int, set[str]] | None:
    """Return the parameters a call takes, or None.

    They are the number of positional arguments and the known names. None where the source does not say.
    """
    if isinstance(node, Function) and node.args.vararg is None and node.args.kwarg is None:
        positional = [*node.args.posonlyargs, *node.args.args]
        known = {argument.arg for argument in (*positional, *node.args.kwonlyargs)}
        return None if set(map(ast.unparse, node.decorator_list)) - UNCHANGED else (len(positional), known)
    if (
        isinstance(node, ast.ClassDef)
        and not node.bases
        and any("dataclass" in ast.unparse(d) for d in node.decorator_list)
    ):
        fields = [
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
        ]
        return len(fields), set(fields)
    return None


def _first_call(text: str) -> ast.Call | None:
    """Return the call a text begins with.

    It is the shortest beginning that ends in `)` and parses.
    """
    for match in re.finditer(r"\)", text[:2000]):
        try:
            tree = ast.parse(f"({text[: match.end()]})", mode="eval")
        except SyntaxError:
            continue
        return tree.body if isinstance(tree.body, ast.Call) else None
    return None
