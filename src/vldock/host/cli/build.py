"""`vldock build`, `vldock lock` and `vldock generate`."""

from __future__ import annotations

from pathlib import Path

import click

from vldock.host.build import base_image
from vldock.host.build import image as image_build
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import say


@click.command(name="build")
@click.option("--tag", default=checkout.IMAGE_TAG, show_default=True, help="Name of the image.")
@click.option("--target", help="Stop at this stage of the Dockerfile.")
@click.option("--no-cache", is_flag=True, help="Run every step, cached or not.")
@click.option("--base", "base_ref", help="Another base image (Debian 12). Default: that of `vldock base`.")
@options.build_options
@options.snapshot_options
@click.option("--progress", type=click.Choice(["plain", "tty"]), default="plain", show_default=True)
@click.option("--min-free-gb", type=float, help="Free disk required. Default: 30 for a first build, then 8.")
def build_command(
    tag: str,
    target: str | None,
    no_cache: bool,
    base_ref: str | None,
    ca: Path | None,
    index_url: str | None,
    apt_snapshot: str | None,
    apt_archive: str | None,
    progress: str,
    min_free_gb: float | None,
) -> None:
    """Build the image by `docker build`; the command is printed first.

    \b
    Examples:
      vldock build
      vldock build --tag vldock:4.37-test --target lock
      vldock build --index-url https://USER:PASSWORD@index.example/simple --ca /etc/ssl/proxy.pem
    """
    folder = checkout.root()
    bundle = image_build.ca_bundle(ca)
    cli = docker_cli.require_builder()
    say(f"docker command: {cli}")
    with docker_client.open_client() as client, image_build.index_secret(index_url) as index_file:
        image_build.check_disk(client, tag=tag, need_gb=min_free_gb)
        if base_ref is None:
            recipe = base_image.BaseRecipe.load(folder / checkout.BASE_FILE)
            made = base_image.ensure(client, recipe, say=say)
            say(str(made))
            base_ref = made.reference
        request = image_build.from_checkout(
            folder,
            base_ref,
            tag=tag,
            target=target,
            no_cache=no_cache,
            ca=bundle,
            index_file=index_file,
            apt_snapshot=apt_snapshot,
            apt_archive=apt_archive,
            progress=progress,
        )
        image_build.build(request, cli=cli, folder=folder, say=say)
        click.echo(f"image: {image_build.size_line(client, tag)}")


@click.command(name="lock")
@click.option("--check", is_flag=True, help="Write nothing; exit code 4 where a .in and its .lock disagree.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def lock_command(check: bool, names: tuple[str, ...]) -> int:
    """Write dependency locks with hashes, or check them.

    locks/NAME.lock is written from NAME.in; --check tests whether they agree. Default: every lock.

    \b
    Examples:
      vldock lock
      vldock lock --check transformers-4.37
    """
    from vldock.host.build import locks

    return locks.main([*(["--check"] if check else []), *names])


@click.command(name="generate")
@click.option("--check", is_flag=True, help="Write nothing; exit code 4 where a file differs from its declaration.")
def generate_command(check: bool) -> int:
    """Write the files generated from declarations, or check them.

    They are the Dockerfile's ENV block and the table of reference scores.

    \b
    Examples:
      vldock generate
      vldock generate --check
    """
    from vldock.host.build import generate

    return generate.main(["--check"] if check else [])
