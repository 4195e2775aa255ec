"""Locations of Hugging Face's caches in a container: the user's variables, links, a view that shows all models."""

from __future__ import annotations

from pathlib import Path

from vldock.common.cache_env import CACHE_ENV, HUGGINGFACE, WORKSPACE
from vldock.common.caches import hf_home, links
from vldock.common.filesystem.permissions import Identity, can_write, private_folder, why_unwritable

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FACE = "hub"  # the private folder of links, where a read-only cache holds models in two layouts


def user_variables(environ: Mapping[str, str], files: Iterable[str]) -> dict[str, str]:
    """Return the Hugging Face variables that differ from `environ`: those of .env, and those that follow them.

    A variable that holds the image's own value counts as not set.
    """
    values: dict[str, str] = {}
    for file in files:
        for name, value in _read(Path(file), environ).items():
            if name not in values and environ.get(name, "") in ("", CACHE_ENV.get(name)):
                values[name] = value
    return {**values, **hf_home.follow_home({**environ, **values})}


def _read(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    try:
        content = file.read_bytes()
    except OSError:  # absent, a folder, another's: preflight and the reader of tokens name the last two
        return {}
    if not any(name.encode() in content for name in hf_home.NAMES):
        return {}
    from vldock.common.dot_env import parse_dot_env

    try:
        found = parse_dot_env(content, environ)
    except UnicodeDecodeError:
        return {}
    return {name: found[name] for name in hf_home.NAMES if found.get(name)}


def join(environ: Mapping[str, str]) -> None:
    """Make the links below HF_HOME.

    All of them in the image's cache and in a workspace's; in the user's own HF_HOME those to models not seen otherwise.
    """
    home = Path(environ.get("HF_HOME") or HUGGINGFACE)
    roots = {f"{environ.get('WORKSPACE_ROOT') or WORKSPACE}/cache/{links.HOME}", HUGGINGFACE}
    if str(home) in roots:
        links.join_layouts(home.parent)
    elif any(links.find_view(home, view) != view for _, view in _views(environ, home)):
        links.link_repositories(home)


def find_views(environ: Mapping[str, str], who: Identity) -> tuple[dict[str, str], list[str]]:
    """Return the hub variables to change where links could not be made, and a note.

    A read-only cache whose models are in two layouts is shown by a private folder of links to both.
    """
    home, values, notes = Path(environ.get("HF_HOME") or HUGGINGFACE), {}, []
    for name, asked in _views(environ, home):
        seen = links.find_view(home, asked)
        if seen is None and not can_write(home):
            seen = private_folder(environ, who, FACE)
            links.show_all(home, seen)
            why = why_unwritable(home, who)
            notes = [f"models of two layouts are linked from {seen}, new ones are lost with the container: {why}"]
        if seen not in (None, asked):
            values[name] = str(seen)
    return values, notes


def _views(environ: Mapping[str, str], home: Path) -> list[tuple[str, Path]]:
    """Return the hub variables that name a view of `home`, and not a place of the user's."""
    values = {name: environ.get(name) or str(home) for name in hf_home.HUB_VARIABLES}
    return [(name, Path(value)) for name, value in values.items() if value in hf_home.spellings(name, str(home))]
