"""`vldock load`: unpack a bundle of benchmarks and weights."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from vldock.common.hub_cache_layout import HUB_FOLDER
from vldock.host.cli import options
from vldock.host.downloads import bundle_load
from vldock.host.downloads.execute import lock_folder
from vldock.host.util.console import print_json, say


@click.command(name="load")
@click.argument("bundle", type=click.Path(exists=True, path_type=Path))
@options.DATA
@options.HUB_CACHE
@click.option("--manifest-sha256", metavar="HEX", help="Printed by `vldock fetch --bundle`; refuse any other bundle.")
@options.json_option()
def load_command(
    bundle: Path, data: Path | None, cache: Path | None, manifest_sha256: str | None, as_json: bool
) -> int:
    """Unpack BUNDLE without a network.

    BUNDLE is a folder or .tar.zst made by `vldock fetch --bundle`. Every byte is checked before any file gets its
    name; where a file was changed, it is named and nothing is loaded. A second load keeps the files that exist.

    \b
    Examples:
      vldock load /mnt/usb/vldock-bundle --data ~/LMUData --cache ~/vldock-cache
      vldock load vldock-bundle.tar.zst --data ~/LMUData --cache ~/vldock-cache
    """
    hub = cache / HUB_FOLDER if cache else None
    with ExitStack() as stack:
        for place in (data, hub):
            if place:
                stack.enter_context(lock_folder(place))
        done = bundle_load.load(bundle, data=data, hub=hub, log=say, manifest_sha256=manifest_sha256)
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(f"loaded: {done.placed} files new, {done.kept} were there")
        click.echo(f"{len(done.benchmarks)} benchmarks, {len(done.repositories)} repositories")
    return 0
