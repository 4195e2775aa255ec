"""`vldock rebuild-proof`: build from nothing and compare the bytes, layer by layer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from vldock.common.filesystem.atomic import write_json
from vldock.host.build import base_image, os_packages, reproducibility
from vldock.host.build import image as image_build
from vldock.host.build.reproducibility import Proof
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.images import layer_diff
from vldock.host.images import local as local_images
from vldock.host.util import checkout
from vldock.host.util.console import print_json, say

TAGS = ("vldock:rebuild-proof-1", "vldock:rebuild-proof-2")


@click.command(name="rebuild-proof")
@click.option("--against", help="Build once, and compare with this image. Default: build twice.")
@click.option("--target", help="Stop at this stage of the Dockerfile.")
@click.option("--base", "base_ref", help="Another base image. Default: that of `vldock base`.")
@click.option("--remake-base", is_flag=True, help="Build the base with mmdebstrap again too, for the last build.")
@options.build_options
@options.snapshot_options
@click.option("--keep", is_flag=True, help="Keep the images built for the proof.")
@click.option("--report", type=options.PATH, help="Default: outputs/rebuild-proof/<timestamp>.json.")
@options.json_option()
def rebuild_command(index_url: str | None, report: Path | None, as_json: bool, **values: Any) -> int:
    """Build the image twice from nothing and compare layer by layer.

    No step is cached. With --against it is built once and compared with that image.

    Exit code 0 when all layers are the same bytes, 1 when one differs: its files are named. OS packages that differ
    from locks/os-packages.json are named too. Two whole builds take ten to thirty minutes.

    \b
    Examples:
      vldock rebuild-proof
      vldock rebuild-proof --against vldock:4.37
      vldock rebuild-proof --apt-snapshot 20261121T000000Z
    """
    with docker_client.open_client() as client, image_build.index_secret(index_url) as index_file:
        proof = _prove(client, index_file=index_file, **values)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = write_json((report or Path("outputs/rebuild-proof") / f"{stamp}.json").resolve(), proof.as_dict())
    if as_json:
        print_json(proof.as_dict())
    else:
        click.echo("\n".join([*_lines(proof), f"report: {path}"]))
    return 0 if proof.holds else 1


def _prove(
    client: Any,
    *,
    against: str | None,
    base_ref: str | None,
    remake_base: bool,
    ca: Path | None,
    keep: bool,
    **build_options: Any,
) -> Proof:
    """Build and compare images; remove the built ones unless `keep`.

    `build_options` are of the BuildRequest.
    """
    folder = checkout.root()
    image_build.check_disk(client, tag=TAGS[0], need_gb=image_build.COLD_GB)
    recipe = base_image.BaseRecipe.load(folder / checkout.BASE_FILE)
    images = [local_images.find(client, against).id] if against else []
    built: list[str] = []
    try:
        for tag in TAGS[len(images) :]:
            reference = base_ref or _base(client, recipe, again=remake_base and tag == TAGS[-1])
            bundle = image_build.ca_bundle(ca)
            request = image_build.from_checkout(folder, reference, tag=tag, no_cache=True, ca=bundle, **build_options)
            image_build.build(request, cli=docker_cli.require_builder(), folder=folder, say=say)
            built.append(tag)
            images.append(str(local_images.find(client, tag).id))
        recorded = os_packages.OsPackages.load(folder / os_packages.FILE)
        drift = os_packages.drift(recorded, os_packages.read(client, images[-1]))
        return reproducibility.compare(client, *images, drift=drift, say=say)
    finally:
        for tag in [] if keep else built:
            client.images.remove(tag, noprune=False)


def _base(client: Any, recipe: base_image.BaseRecipe, *, again: bool) -> str:
    base = base_image.ensure(client, recipe, way="bootstrap" if again else "any", rebuild=again, say=say)
    say(str(base))
    return base.reference


def _lines(proof: Proof) -> list[str]:
    lines = []
    for pair in proof.layers:
        mark = "same " if pair.same else "OTHER"
        lines.append(f"{mark} {pair.number}/{len(proof.layers)} {(pair.second or 'absent')[:19]} {pair.step}")
        lines += [f"        {line}" for line in pair.differences[: layer_diff.SHOWN]]
        if len(pair.differences) > layer_diff.SHOWN:
            lines.append(f"        and {len(pair.differences) - layer_diff.SHOWN} more, in the report")
    lines += [f"OS package not as recorded: {line}" for line in proof.drift] or ["OS packages: as recorded"]
    return [*lines, proof.verdict]
