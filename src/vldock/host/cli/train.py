"""`vldock train`: fine-tune in a container; data read-only, checkpoints in a folder of yours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from vldock.common.cache_env import WORKSPACE
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.common.image_paths import CHECKPOINTS, CHECKPOINTS_VARIABLE
from vldock.host.containers import gpus, terminal
from vldock.host.containers.spec import Mount, Spec
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import say

FOLDER = click.Path(path_type=Path)
# not --standalone: it looks up the container's own name, which fails where there is no network
TORCHRUN = ("torchrun", "--nnodes=1", "--master_addr=127.0.0.1", "--master_port=29500")
CONFIG = f"{WORKSPACE}/train.yaml"


def spec(
    words: Sequence[str],
    *,
    image: str,
    config: Path | None,
    data: Path | None,
    models: Path | None,
    checkpoints: Path,
    cache: Path | None,
    env_file: Path | None,
    check: bool,
    print_config: bool,
    export: str | None,
    processes: int,
    user: str,
    gpus: str,
    network: str | None,
) -> Spec:
    """Return the container that trains, checks or exports; `checkpoints` is made where missing.

    Raises UsageError for a file or folder that is not there: docker would make an empty folder of it.
    """
    plain = terminal.spec((), image=image, env={}, outputs=None, data=None, cache=cache, env_file=env_file, user=user,
                     gpus=gpus, network=network)  # fmt: skip
    mounts = list(plain.mounts)
    if config is not None:
        if not config.is_file():
            raise UsageError(f"--config {config}: no such file", expected="a YAML file of settings")
        mounts.append(Mount(config.resolve(), CONFIG, read_only=True))
    for option, folder, name, locked in (("--data", data, "data", True), ("--models", models, "models", not export)):
        if folder is not None:
            if not folder.is_dir():
                raise UsageError(f"{option} {folder}: no such folder", expected="a folder of this machine")
            mounts.append(Mount(folder.resolve(), f"{WORKSPACE}/{name}", read_only=locked))
    checkpoints.mkdir(parents=True, exist_ok=True)
    mounts.append(Mount(checkpoints.resolve(), CHECKPOINTS))
    env = {CHECKPOINTS_VARIABLE: CHECKPOINTS}
    env |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} if processes > 1 else {}
    first = ["--print-config"] if print_config else ["--check"] if check else []
    argv = tuple(command([*first, *words], config=config is not None, export=export, processes=processes))
    return replace(plain, argv=argv, role="train", mounts=tuple(mounts), env=env)


def command(words: Sequence[str], *, config: bool, export: str | None, processes: int) -> list[str]:
    """Return the command inside the container."""
    if export:
        return ["python", "-m", "vldock.image", "train", "export", export, *words]
    launcher = [*TORCHRUN, f"--nproc_per_node={processes}"] if processes > 1 else ["python"]
    options = ["--config", CONFIG] if config else []
    return [*launcher, "-m", "vldock.image", "train", *options, *words]


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
    found = docker_cli.installed()
    if not found:
        raise EnvironmentUnfit("no docker command is installed", hint="vldock engine up")
    wanted = spec(words, user=user or terminal.caller(), gpus=chosen, **given)  # type: ignore[arg-type]
    return terminal.on_this_terminal(wanted, cli=found[0], say=say)
