"""`vldock predict`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from vldock.host.cli.run import FOLDER, container_options, start
from vldock.host.containers import path_arguments


@click.command(name="predict")
@partial(container_options, outputs=False)
@click.option("--workspace", type=FOLDER, help="A workspace (setup_workspace_cache.py): its models and its caches.")
@click.argument("words", nargs=-1, required=True, metavar="-- [--image FILE]... QUESTION")
def predict_command(words: tuple[str, ...], workspace: Path | None, pairs: tuple[str, ...], **given: Any) -> int:
    """Ask a model a question on an image; the answer is the one run.py gets. `vldock predict -- --help` lists the rest.

    Files named after `--` are mounted: images, --questions, --out, a folder given to --model.

    \b
    Examples:
      vldock predict --standin --network none -- --image cat.png "What is in the picture?"
      vldock predict --cache ~/vldock-cache -- --model 13b --json --image a.png --image b.png "What differs?"
      vldock predict --cache ~/vldock-cache -- --questions q.jsonl --out a.jsonl < /dev/null
      cat cat.png | vldock predict --workspace /data/ws -- --model my-export --image - "What is it?"
    """
    asked = path_arguments.translate(words, root=workspace)
    env = tuple(f"{name}={value}" for name, value in asked.env.items())
    return start(asked.argv, pairs=(*env, *pairs), mounts=asked.mounts, stdin=asked.stdin, outputs=None, **given)
