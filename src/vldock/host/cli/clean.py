"""`vldock clean`: remove containers and images made by vldock."""

from __future__ import annotations

import click

from vldock.host.build import prune as build_prune
from vldock.host.docker_engine import client as docker_client
from vldock.host.util.console import say


@click.command(name="clean")
@click.option("--images", is_flag=True, help="Remove the images too; the build cache is kept.")
@click.option("--force", is_flag=True, help="Remove running containers too.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed; remove nothing.")
def clean_command(images: bool, force: bool, dry_run: bool) -> None:
    """Remove the containers made by vldock, and with --images its images.

    \b
    Examples:
      vldock clean --images --dry-run
      vldock clean
    """
    with docker_client.open_client() as client:
        plan = build_prune.plan(client, images=images, force=force)
        click.echo("\n".join(plan.lines()) or "nothing to remove")
        if not dry_run:
            build_prune.execute(client, plan, say=say)
