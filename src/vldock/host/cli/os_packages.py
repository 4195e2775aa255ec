"""`vldock os-packages`: OS packages of an image against the record."""

from __future__ import annotations

import click

from vldock.host.build import os_packages
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.util import checkout
from vldock.host.util.console import print_json


@click.command(name="os-packages")
@options.IMAGE_ARGUMENT
@click.option("--record", is_flag=True, help="Write the packages of IMAGE to locks/os-packages.json.")
@options.json_option()
def os_packages_command(image: str, record: bool, as_json: bool) -> int:
    """Compare the OS packages of IMAGE with the record in locks/.

    Those of the stage that built it are compared too.

    Exit code 0 when all are as recorded, 1 when one is not.

    \b
    Examples:
      vldock os-packages
      vldock os-packages vldock:4.37 --record
    """
    path = checkout.root() / os_packages.FILE
    with docker_client.open_client() as client:
        local_images.find(client, image)
        found = os_packages.read(client, image)
    if record:
        found.save(path)
    drift = os_packages.drift(os_packages.OsPackages.load(path), found)
    counts = {"image": len(found.image), "build": len(found.build)}
    if as_json:
        print_json({"image": image, "packages": counts, "drift": drift})
    else:
        click.echo("\n".join([*drift, f"{counts['image']} packages ship, {counts['build']} built them: "
                              + (f"{len(drift)} not as recorded" if drift else "all as recorded")]))  # fmt: skip
    return 1 if drift else 0
