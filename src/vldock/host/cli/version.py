"""`vldock version`: versions of vldock, the Docker engine and the image."""

from __future__ import annotations

from typing import Any

import click

from vldock import __version__
from vldock.common.errors import EnvironmentUnfit
from vldock.host import doctor
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.util.console import print_json


@click.command(name="version")
@options.IMAGE_OR_NONE
@click.option("--tag", "tag_only", is_flag=True, help="Print the image's name only, for scripts; exit 3 without one.")
@options.json_option()
def version_command(image: str, tag_only: bool, as_json: bool) -> None:
    """Print versions of vldock and engine, and the image's labels.

    \b
    Examples:
      vldock version
      vldock version --json
      docker run --rm $(vldock version --tag) python -m vldock.image doctor
    """
    status = docker_client.status()
    facts: dict[str, Any] = {"vldock": __version__, "engine": status.version, "image": None}
    if status.answers:
        from docker.errors import ImageNotFound

        with docker_client.open_client() as client:
            try:
                found = client.images.get(image)
                facts["image"] = {"tag": image, "id": found.id, **doctor.read_labels(found)}
            except ImageNotFound:
                pass
    if tag_only:
        if facts["image"] is None:
            raise EnvironmentUnfit(f"there is no image {image} here", hint="vldock build")
        click.echo(image)
        return
    if as_json:
        print_json(facts)
        return
    click.echo(f"vldock {__version__}\nengine {status.version or 'none answers'}")
    described = facts["image"] or {"tag": image, "id": "not here"}
    click.echo("image  " + "\n       ".join(f"{key} {value}" for key, value in described.items()))
