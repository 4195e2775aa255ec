"""`vldock predict`: one question on an image, or a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vldock.host.cli.options import PATH, container_options
from vldock.host.cli.run import run_container
from vldock.host.containers import path_arguments


@click.command(name="predict")
@container_options(outputs=False)
@click.option("--workspace", type=PATH, help="A workspace (setup_workspace_cache.py): its models and its caches.")
@click.argument("words", nargs=-1, required=True, metavar="-- [--image FILE]... QUESTION")
def predict_command(words: tuple[str, ...], workspace: Path | None, pairs: tuple[str, ...], **options: Any) -> int:
    """Ask a model a question about an image; the answer equals run.py's.

    `vldock predict -- --help` lists the options after `--`.

    Files named after `--` are mounted: images, --questions, --out, a folder given to --model.

    \b
    Examples:
      vldock predict --standin --network none -- --image cat.png "What is in the picture?"
      vldock predict --cache ~/vldock-cache -- --model 13b --json --image a.png --image b.png "What differs?"
      vldock predict --cache ~/vldock-cache -- --questions q.jsonl --out a.jsonl < /dev/null
      cat cat.png | vldock predict --workspace /data/ws -- --model my-export --image - "What is it?"
    """
    translated = path_arguments.translate(words, root=workspace)
    env = tuple(f"{name}={value}" for name, value in translated.env.items())
    return run_container(
        translated.argv, pairs=(*env, *pairs), mounts=translated.mounts, stdin=translated.stdin, outputs=None, **options
    )
