"""`vldock models`: the declared models, what each needs, and the state of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from vldock.common import hub_cache_layout, matrix
from vldock.common.matrix import Model
from vldock.host.cli import options
from vldock.host.downloads import inventory, locked_files
from vldock.host.downloads.locked_files import WeightsLock
from vldock.host.runs.plan import choose_models
from vldock.host.util import checkout
from vldock.host.util.console import console, print_json, size_text

WORST_FIRST = ("corrupt", "flawed", "foreign", "partial", "absent", "complete")
NOTES = """\
GB of weights; GB of memory on a GPU, and on a CPU in float32, for the largest
prompt of one image, by arithmetic. attention: language model/vision tower.
No model was run with its real weights here.
vldock models NAME: repositories, commits, how it was tried."""
ELSEWHERE = "vldock models --cache FOLDER: the weights that are there."


@click.command(name="models")
@click.argument("name", required=False)
@options.cache_option("Folder of caches: adds the state of the weights in it.")
@options.LOCKS
@options.json_option()
def models_command(name: str | None, cache: Path | None, locks: Path | None, as_json: bool) -> None:
    """List the models: size, memory, attention, stand-in, weights here.

    With NAME: its repositories and commits, and how it was tried. The state of weights is that of `vldock check
    weights --quick`: no file is read in full. No network is used. Exit code 0.

    \b
    Examples:
      vldock models
      vldock models --cache ~/vldock-cache
      vldock models InternVL2-8B
      vldock models --json
    """
    names = choose_models(name or "all", standin=False)
    lock = locked_files.load_weights(locks or checkout.root() / "locks")
    hub = cache / hub_cache_layout.HUB_FOLDER if cache else None
    entries = [describe_model(model, lock, hub) for model in matrix.MODELS if model.name in names]
    if as_json:
        print_json({"models": entries})
    elif name:
        click.echo("\n\n".join("\n".join(detail_lines(one)) for one in entries))
    else:
        console().print(_table(entries))
        click.echo(NOTES if cache else f"{NOTES}\n{ELSEWHERE}")


def describe_model(model: Model, lock: WeightsLock, hub: Path | None) -> dict[str, Any]:
    """Return the values of one model; `hub` is the folder of its repositories."""
    roles = {"weights": model.repo, "vision tower": model.tower, "tokenizer": model.tokenizer}
    repositories = [_repository(role, repo, lock, hub) for role, repo in roles.items() if repo]
    found = {one["state"] for one in repositories}
    return {
        "name": model.name,
        "family": model.family,
        "remote_code": model.remote_code,
        "weights_gb": model.gigabytes,
        "gpu_memory_gb": round(model.gpu_memory, 1),
        "cpu_memory_gb": round(model.cpu_memory, 1),
        "attention": model.attentions,
        "standin": model.standin,
        "in_matrix": model.in_matrix,
        "pinned": all(one["revision"] for one in repositories),
        "state": "partial" if found == {"absent", "complete"} else _worst(found),
        "tried": list(model.tried),
        "repositories": repositories,
    }


def _worst(states: set[str | None]) -> str | None:
    return next((state for state in WORST_FIRST if state in states), None)


def _repository(role: str, repo: str, lock: WeightsLock, hub: Path | None) -> dict[str, Any]:
    locked = lock.find(repo)
    item = inventory.repo_item(locked, hub, quick=True) if hub else None
    return {
        "role": role,
        "repo": repo,
        "revision": locked.revision,
        "code_files": len(((locked.code or {}).get("blobs")) or {}),
        "state": item.state if item else None,
        "size": item.size if item else None,
        "notes": list(item.notes) if item else [],
    }


def _table(entries: Sequence[Mapping[str, Any]]) -> Table:
    made = Table(box=None, pad_edge=False)
    for heading in ("model", "GB", "GPU", "CPU", "attention", "code", "pinned", "stand-in", "here"):
        made.add_column(heading, justify="right" if heading.isupper() else "left", no_wrap=True)
    for one in entries:
        made.add_row(
            one["name"],
            f"{one['weights_gb']:.0f}",
            f"{one['gpu_memory_gb']:.0f}",
            f"{one['cpu_memory_gb']:.0f}",
            one["attention"],
            "remote" if one["remote_code"] else "image",
            _yes(one["pinned"]),
            _yes(one["standin"]),
            one["state"] or "-",
        )
    return made


def detail_lines(one: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one model's values."""
    pinned = next((f"{each['code_files']} pinned " for each in one["repositories"] if each["code_files"]), "")
    code = f"remote: {pinned}Python files of its repository" if one["remote_code"] else "LLaVA's, in the image"
    rows = {
        "model": f"{one['name']} ({one['family']}{', in the default matrix' if one['in_matrix'] else ''})",
        "code": code,
        "size": f"{one['weights_gb']} GB of weights in half precision",
        "on a GPU": f"{one['gpu_memory_gb']} GB of GPU memory in half precision, by arithmetic",
        "on a CPU": f"{one['cpu_memory_gb']} GB of memory in float32, by arithmetic",
        "attention": one["attention"],
        "stand-in": _yes(one["standin"]),
        "tried with": f"{'; '.join(one['tried'])}; never with its real weights",
    }
    yield from (f"{heading:<13}{text}" for heading, text in rows.items())
    for repository in one["repositories"]:
        commit = repository["revision"] or "not pinned: main of the day it is fetched"
        yield f"{repository['role']:<13}{repository['repo']}"
        yield f"{'':<13}commit {commit}"
        if repository["state"]:
            size = f", {size_text(repository['size'])}" if repository["size"] else ""
            yield f"{'':<13}here: {repository['state']}{size}"
        yield from (f"{'':<13}  {note}" for note in repository["notes"])
    yield f"{'fetch':<13}vldock fetch weights {one['name']} --cache FOLDER"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
