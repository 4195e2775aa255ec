"""`vldock train`: fine-tune a LLaVA model in a container."""

from __future__ import annotations

from pathlib import Path

import click

from vldock.host.cli import options
from vldock.host.containers import gpus, terminal, training
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util.console import say


@click.command(name="train")
@options.IMAGE
@click.option("--config", type=options.PATH, help="A YAML file of settings.")
@click.option("--data", type=options.PATH, help="Training data, mounted read-only at /workspace/data.")
@click.option("--models", type=options.PATH, help="Models, mounted at /workspace/models; read-only but for --export.")
@click.option("--checkpoints", type=options.PATH, default=Path("checkpoints"), show_default=True, help="Runs go here.")
@options.cache_option()
@click.option("--env-file", type=options.PATH, help="Mounted read-only at /workspace/.env: tokens.")
@click.option("--check", is_flag=True, help="Run the preflight only; train nothing.")
@click.option("--print-config", is_flag=True, help="Print the resolved settings as YAML and exit.")
@click.option("--export", metavar="RUN", help="Merge a run below --checkpoints into a model; WORDS go to it: --out.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="One for each GPU.")
@options.GPUS
@options.user_option("UID:GID. Default: yours, so that checkpoints are yours.")
@options.NETWORK
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
def train_command(words: tuple[str, ...], gpus_asked: str, user: str | None, **values: object) -> int:
    """Fine-tune LLaVA-1.5 or LLaVA-NeXT in a container.

    After a kill, the same command resumes from the newest checkpoint. KEY=VALUE overrides the file's settings; `vldock
    train --print-config` prints every setting with its default. `out` is the run's folder, checkpoints/NAME. The
    preflight runs first. Exit status: 0 done, 2 wrong arguments, 3 unfit environment (no engine, GPU, room), 4 refused
    data or weights, or a failed check.

    \b
    Examples:
      vldock train --data ~/flowers --cache ~/vldock-cache --check data.source=archive data.path=oxford
      vldock train --config flowers.yaml --data ~/flowers --cache ~/vldock-cache train.epochs=3
      vldock train --export run --cache ~/vldock-cache
    """
    chosen, line = gpus.resolve(gpus_asked, docker_client.require_engine())
    say(line)
    cli = docker_cli.require_any()
    spec = training.make_spec(words, user=user or terminal.caller_user(), gpus=chosen, **values)  # type: ignore[arg-type]
    return terminal.run_attached(spec, cli=cli, log=say)
