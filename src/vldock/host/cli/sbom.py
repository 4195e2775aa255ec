"""`vldock sbom`: the bill of materials of an image."""

from __future__ import annotations

from pathlib import Path

import click

from vldock.common import hashing
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.verification import sbom


@click.command(name="sbom")
@options.IMAGE_ARGUMENT
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: outputs/sbom-<image id>.json.")
def sbom_command(image: str, out: Path | None) -> None:
    """Write IMAGE's bill of materials: CycloneDX JSON of its OS and Python packages.

    The same image gives the same file; `vldock verify --sbom FILE` puts its sha256 in the receipt.

    \b
    Examples:
      vldock sbom
      vldock sbom vldock:4.37 --out sbom.json
    """
    with docker_client.open_client() as client:
        if out is None:
            found = local_images.find(client, image, hint="vldock build")
            out = Path("outputs") / f"sbom-{str(found.id).removeprefix('sha256:')[:12]}.json"
        made = sbom.write(client, image, out)
    click.echo(
        f"{made.path}: {made.debian} Debian and {made.python} Python packages, sha256 {hashing.sha256_file(out)}"
    )
