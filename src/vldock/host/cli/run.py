"""`vldock run` and `vldock shell`: a container on this terminal.

`run` starts a command in it, `shell` starts bash.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from vldock.common import standin_choice
from vldock.host.cli.options import container_options
from vldock.host.containers import gpus, terminal
from vldock.host.containers.spec import Mount
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util.console import say


def run_container(
    argv: tuple[str, ...],
    gpus_asked: str,
    pairs: tuple[str, ...],
    standin: bool,
    *,
    mounts: tuple[Mount, ...] = (),
    stdin: bool = False,
    **options: Any,
) -> int:
    """Run `argv` in a container on this terminal.

    `mounts` are added to those of the options.

    Raises EnvironmentUnfit where no Docker engine answers, and as `gpus.choose_for` for the command's models.
    """
    env = terminal.parse_environment(pairs, standin=standin)
    standin, status = bool(standin_choice.read_choice(env)), docker_client.require_engine()
    chosen, lines = gpus.choose_for(
        [*gpus.named_models(argv)], gpus_asked, status, standin=standin, cache=options["cache"]
    )
    say("\n".join(lines))
    user = options.pop("user") or terminal.caller_user()
    spec = terminal.make_spec(argv, env=env, user=user, gpus=chosen, **options)
    spec = replace(spec, mounts=(*spec.mounts, *mounts))
    return terminal.run_attached(spec, cli=docker_cli.require_any(), log=say, stdin=stdin)


@click.command(name="run", context_settings={"ignore_unknown_options": False})
@container_options()
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
def run_command(argv: tuple[str, ...], **options: Any) -> int:
    """Run a command in a container, with outputs, data, caches and .env mounted.

    The exit code is the command's.

    \b
    Examples:
      vldock run --standin --network none -- python /workspace/VLMEvalKit/run.py --data POPE --model llava_v1.5_7b
      vldock run --data ~/LMUData --cache ~/vldock-cache --env-file .env -- \\
          python /workspace/VLMEvalKit/run.py --data MMBench_DEV_EN --model llava_v1.5_7b
      vldock run -e VLMEVAL_SAMPLE_LIMIT=10 -- python -m vldock.image doctor
    """
    return run_container(argv, **options)


@click.command(name="shell")
@container_options()
def shell_command(**options: Any) -> int:
    """Open bash in a container, with the same mounts as `vldock run`.

    \b
    Examples:
      vldock shell
      vldock shell --standin --gpus none
    """
    return run_container(("bash",), **options)
