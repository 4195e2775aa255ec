"""`vldock engine` and `vldock base`."""

from __future__ import annotations

import click

from vldock.host.build import base_image
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import start as engine_start
from vldock.host.util import checkout
from vldock.host.util.console import print_json, say


@click.group(name="engine")
def engine_group() -> None:
    """Start a Docker engine, or show its state.

    \b
    Examples:
      vldock engine up
      vldock engine status --json
    """


@engine_group.command(name="up")
@click.option("--timeout", type=float, default=engine_start.START_SECONDS, show_default=True, help="Seconds to wait.")
@options.json_option()
def up_command(timeout: float, as_json: bool) -> None:
    """Start an engine, and as root install it.

    Does nothing where one answers already.

    \b
    Examples:
      vldock engine up
      sudo vldock engine up --timeout 120
    """
    _print(engine_start.up(log=say, seconds=timeout), as_json=as_json)


@engine_group.command(name="status")
@options.json_option()
def status_command(as_json: bool) -> int:
    """Show the engine and the docker command; starts nothing.

    Exit code 0 when an engine answers and a docker command can build, else 3.

    \b
    Examples:
      vldock engine status
      vldock engine status --json
    """
    status = docker_client.status()
    _print(status, as_json=as_json)
    return 0 if status.answers and status.cli is not None else 3


def _print(status: docker_client.EngineStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(status.as_json())
    else:
        click.echo("\n".join(status.lines()))


@click.command(name="base")
@click.option("--rebuild", is_flag=True, help="Pull or build it again although it exists.")
@click.option("--from-registry", "way", flag_value="registry", help="Pull by digest or fail.")
@click.option("--bootstrap", "way", flag_value="bootstrap", help="Build it with mmdebstrap; use no registry.")
@options.json_option()
def base_command(rebuild: bool, way: base_image.Way | None, as_json: bool) -> None:
    """Pull the base image of locks/base.json by digest, or build it.

    It is built with mmdebstrap where no registry answers.

    \b
    Examples:
      vldock base
      vldock base --bootstrap --rebuild
    """
    recipe = base_image.BaseRecipe.load(checkout.root() / checkout.BASE_FILE)
    with docker_client.open_client() as client:
        made = base_image.ensure(client, recipe, way=way or "any", rebuild=rebuild, say=say)
    if as_json:
        print_json({"tag": made.tag, "image_id": made.image_id, "origin": made.origin, "fresh": made.fresh})
    else:
        click.echo(str(made))
