"""`vldock rebuild-proof` and `vldock os-packages`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from vldock.common.filesystem.atomic import write_json
from vldock.host.build import base_image, os_packages, reproducibility
from vldock.host.build import image as image_build
from vldock.host.build.reproducibility import Proof
from vldock.host.cli.build import snapshot_options
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.images import layer_diff
from vldock.host.images import local as local_images
from vldock.host.util import checkout
from vldock.host.util.console import print_json, say

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print one JSON object to standard output.")
TAGS = ("vldock:rebuild-proof-1", "vldock:rebuild-proof-2")


@click.command(name="rebuild-proof")
@click.option("--against", help="Build once, and compare with this image. Default: build twice.")
@click.option("--target", help="Stop at this stage of the Dockerfile.")
@click.option("--base", "base_ref", help="Another base image. Default: what `vldock base` gives.")
@click.option("--remake-base", is_flag=True, help="Make the base with mmdebstrap again too, for the last build.")
@click.option("--ca", type=click.Path(path_type=Path), help="CA bundle for downloads.")
@click.option("--index-url", envvar="PIP_INDEX_URL", help="Package index; passed as a secret. [env: PIP_INDEX_URL]")
@snapshot_options
@click.option("--keep", is_flag=True, help="Keep the images that were built for this.")
@click.option("--report", type=click.Path(path_type=Path), help="Default: outputs/rebuild-proof/<timestamp>.json.")
@JSON_OPTION
def rebuild_command(
    against: str | None,
    target: str | None,
    base_ref: str | None,
    remake_base: bool,
    ca: Path | None,
    index_url: str | None,
    apt_snapshot: str | None,
    apt_archive: str | None,
    keep: bool,
    report: Path | None,
    as_json: bool,
) -> int:
    """Build the image from nothing (no cached step), twice or against an image, and compare layer by layer.

    Exit code 0 when all layers are the same bytes, 1 when one differs: its files are named. OS packages that are not
    those of locks/os-packages.json are told by name. Two whole builds take ten to thirty minutes.

    \b
    Examples:
      vldock rebuild-proof
      vldock rebuild-proof --against vldock:4.37
      vldock rebuild-proof --apt-snapshot 20261121T000000Z
    """
    folder = checkout.root()
    with docker_client.connected() as client, image_build.index_secret(index_url) as index_file:
        image_build.check_disk(client, tag=TAGS[0], need_gb=image_build.COLD_GB)
        recipe = base_image.BaseRecipe.load(folder / checkout.BASE_FILE)
        images = [local_images.find(client, against).id] if against else []
        made: list[str] = []
        try:
            for tag in TAGS[len(images) :]:
                again = remake_base and tag == TAGS[-1]
                reference = base_ref or _base(client, recipe, again=again)
                request = image_build.from_checkout(
                    folder, reference, tag=tag, target=target, no_cache=True, ca=image_build.ca_bundle(ca),
                    index_file=index_file, apt_snapshot=apt_snapshot, apt_archive=apt_archive,
                )  # fmt: skip
                image_build.build(request, cli=docker_cli.require_builder(), folder=folder, say=say)
                made.append(tag)
                images.append(str(local_images.find(client, tag).id))
            recorded = os_packages.OsPackages.load(folder / os_packages.FILE)
            drift = os_packages.drift(recorded, os_packages.read(client, images[-1]))
            proof = reproducibility.compare(client, *images, drift=drift, say=say)
        finally:
            for tag in [] if keep else made:
                client.images.remove(tag, noprune=False)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = write_json((report or Path("outputs/rebuild-proof") / f"{stamp}.json").resolve(), proof.as_dict())
    if as_json:
        print_json(proof.as_dict())
    else:
        click.echo("\n".join([*_lines(proof), f"report: {path}"]))
    return 0 if proof.holds else 1


def _base(client: Any, recipe: base_image.BaseRecipe, *, again: bool) -> str:
    made = base_image.ensure(client, recipe, way="bootstrap" if again else "any", rebuild=again, say=say)
    say(str(made))
    return made.reference


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


@click.command(name="os-packages")
@click.argument("image", default=checkout.IMAGE_TAG)
@click.option("--record", is_flag=True, help="Write what IMAGE has to locks/os-packages.json.")
@JSON_OPTION
def os_packages_command(image: str, record: bool, as_json: bool) -> int:
    """Compare the OS packages of IMAGE, and of the stage that built it, with those recorded in locks/.

    Exit code 0 when all are as recorded, 1 when one is not.

    \b
    Examples:
      vldock os-packages
      vldock os-packages vldock:4.37 --record
    """
    path = checkout.root() / os_packages.FILE
    with docker_client.connected() as client:
        local_images.find(client, image)
        seen = os_packages.read(client, image)
    if record:
        seen.save(path)
    drift = os_packages.drift(os_packages.OsPackages.load(path), seen)
    counts = {"image": len(seen.image), "build": len(seen.build)}
    if as_json:
        print_json({"image": image, "packages": counts, "drift": drift})
    else:
        click.echo("\n".join([*drift, f"{counts['image']} packages ship, {counts['build']} built them: "
                              + (f"{len(drift)} not as recorded" if drift else "all as recorded")]))  # fmt: skip
    return 1 if drift else 0
