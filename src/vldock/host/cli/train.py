"""`vldock train`: fine-tune in a container; data read-only, checkpoints in a folder of yours."""

from __future__ import annotations

from pathlib import Path

import click

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers import gpus, terminal, training
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import say

FOLDER = click.Path(path_type=Path)


@click.command(name="train")
@click.option("--image", default=checkout.IMAGE_TAG, show_default=True)
@click.option("--config", type=FOLDER, help="A YAML file of settings.")
@click.option("--data", type=FOLDER, help="Training data, mounted read-only at /workspace/data.")
@click.option("--models", type=FOLDER, help="Models, mounted at /workspace/models; read-only but for --export.")
@click.option("--checkpoints", type=FOLDER, default=Path("checkpoints"), show_default=True, help="Runs go here.")
@click.option("--cache", type=FOLDER, help="Folder of weights and caches; kept between runs.")
@click.option("--env-file", type=FOLDER, help="Mounted read-only at /workspace/.env: tokens.")
@click.option("--check", is_flag=True, help="The preflight only: nothing is trained.")
@click.option("--print-config", is_flag=True, help="Print the resolved settings as YAML and end.")
@click.option("--export", metavar="RUN", help="Merge a run below --checkpoints into a model; WORDS go to it: --out.")
@click.option("--processes", type=click.IntRange(1), default=1, show_default=True, help="One for each GPU.")
@click.option("--gpus", "gpus_asked", default="auto", show_default=True, help="auto, all, none, or 0,1.")
@click.option("--user", help="UID:GID. Default: yours, so that checkpoints are yours.")
@click.option("--network", help="none: no network at all.")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
def train_command(words: tuple[str, ...], gpus_asked: str, user: str | None, **given: object) -> int:
    """Fine-tune LLaVA-1.5 or LLaVA-NeXT; the same command after a kill goes on from the newest checkpoint.

    KEY=VALUE overrides the file's settings; `vldock train --print-config` prints every setting with its default. `out`
    is the run's folder, checkpoints/NAME. The preflight runs first. Exit status: 0 done, 2 wrong arguments, 3 unfit
    environment (no engine, GPU, room), 4 refused data or weights, or a failed check.

    \b
    Examples:
      vldock train --data ~/flowers --cache ~/vldock-cache --check data.source=archive data.path=oxford
      vldock train --config flowers.yaml --data ~/flowers --cache ~/vldock-cache train.epochs=3
      vldock train --export run --cache ~/vldock-cache
    """
    status = docker_client.status()
    if not status.answers:
        raise EnvironmentUnfit(f"no Docker engine answers: {status.problem}", hint="vldock engine up")
    chosen, line = gpus.resolve(gpus_asked, status)
    say(line)
    found = docker_cli.find_installed()
    if not found:
        raise EnvironmentUnfit("no docker command is installed", hint="vldock engine up")
    wanted = training.make_spec(words, user=user or terminal.caller_user(), gpus=chosen, **given)  # type: ignore[arg-type]
    return terminal.run_attached(wanted, cli=found[0], log=say)
