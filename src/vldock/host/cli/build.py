"""`vldock build` and `vldock lock`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vldock.host.build import base_image
from vldock.host.build import image as image_build
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import say

TIME = re.compile(r"\d{8}T\d{6}Z")


def _time(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not TIME.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no time of the archive, such as 20261121T000000Z")
    return value


def snapshot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --apt-snapshot and --apt-archive."""
    archive = click.option("--apt-archive", metavar="URL", help="Another host of snapshots than snapshot.debian.org.")
    snapshot = click.option(
        "--apt-snapshot", metavar="TIME", callback=_time, help="OS packages as of then: 20261121T000000Z."
    )
    return snapshot(archive(command))


@click.command(name="build")
@click.option("--tag", default=checkout.IMAGE_TAG, show_default=True, help="Name of the image.")
@click.option("--target", help="Stop at this stage of the Dockerfile.")
@click.option("--no-cache", is_flag=True, help="Run every step again.")
@click.option("--base", "base_ref", help="Another base image (Debian 12). Default: what `vldock base` gives.")
@click.option(
    "--ca", type=click.Path(path_type=Path), help="CA bundle for downloads. Default: SSL_CERT_FILE or system."
)
@click.option("--index-url", envvar="PIP_INDEX_URL", help="Package index; passed as a secret. [env: PIP_INDEX_URL]")
@click.option("--with-flash-attn", is_flag=True, help="Build flash-attn from source: an hour or more.")
@snapshot_options
@click.option("--progress", type=click.Choice(["plain", "tty"]), default="plain", show_default=True)
@click.option("--min-free-gb", type=float, help="Free disk asked for. Default: 30 for a first build, then 8.")
def build_command(
    tag: str,
    target: str | None,
    no_cache: bool,
    base_ref: str | None,
    ca: Path | None,
    index_url: str | None,
    with_flash_attn: bool,
    apt_snapshot: str | None,
    apt_archive: str | None,
    progress: str,
    min_free_gb: float | None,
) -> None:
    """Build the image with the command a user would type, which is printed first.

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
    with docker_client.connected() as client, image_build.index_secret(index_url) as index_file:
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
            with_flash_attn=with_flash_attn,
            apt_snapshot=apt_snapshot,
            apt_archive=apt_archive,
            progress=progress,
        )
        image_build.build(request, cli=cli, folder=folder, say=say)
        click.echo(f"image: {image_build.size_line(client, tag)}")


@click.command(name="lock")
@click.option("--check", is_flag=True, help="Change nothing: exit code 4 where a .in and its .lock disagree.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def lock_command(check: bool, names: tuple[str, ...]) -> int:
    """Write locks/NAME.lock from NAME.in with hashes (all of them, or those named), or check that they agree.

    \b
    Examples:
      vldock lock
      vldock lock --check transformers-4.37
    """
    from vldock.host.build import locks

    return locks.main([*(["--check"] if check else []), *names])
