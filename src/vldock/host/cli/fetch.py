"""`vldock fetch`: benchmarks' files and models' weights, whole and verified, or a bundle of them."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vldock.common.errors import UsageError
from vldock.host.downloads import bundle_write, hub_token, locked_files
from vldock.host.downloads import execute as fetch_execute
from vldock.host.downloads import plan as fetch_plan
from vldock.host.downloads import progress as fetch_progress
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.plan import HUB_FOLDER, DownloadJob
from vldock.host.util import checkout
from vldock.host.util.console import console, print_json, say
from vldock.host.util.retry import RetryPolicy

FOLDER = click.Path(path_type=Path)
KINDS = ("data", "weights")
ENDPOINT = "HF_ENDPOINT"


@dataclass(frozen=True)
class Roots:
    """Where benchmarks and the hub cache are, and places that may hold the same files already."""

    data: Path | None
    hub: Path | None
    data_seed: Path | None = None
    hub_seed: Path | None = None


@click.command(name="fetch")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.argument("names", nargs=-1)
@click.option("--data", type=FOLDER, envvar="LMUData", help="Folder of benchmark TSVs. [env: LMUData]")
@click.option("--cache", type=FOLDER, help="Folder of caches; weights go to its huggingface/.")
@click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Files at a time.")
@click.option("--env-file", type=FOLDER, help="Holds HUGGING_FACE_HUB_TOKEN=... Default: .env, if it is there.")
@click.option("--endpoint", envvar=ENDPOINT, metavar="URL", help="The Hub or a mirror of it. [env: HF_ENDPOINT]")
@click.option("--mirror", metavar="URL", help="Holds NAME.tsv of every benchmark: taken instead of the usual hosts.")
@click.option("--bundle", "bundle_path", type=FOLDER, metavar="DIR|FILE.tar.zst", help="Make one thing to carry away.")
@click.option("--quick", is_flag=True, help="Trust the size of what is there, do not hash it.")
@click.option("--record", is_flag=True, help="Write commits, sizes and sha256 of what was fetched into locks/.")
@click.option("--locks", type=FOLDER, help="Folder of datasets.json and weights.json. Default: this checkout's.")
@click.option("--retries", type=click.IntRange(1, 100), default=6, show_default=True, help="Attempts without a byte.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to standard output, progress to error.")
@click.option("--dry-run", is_flag=True, help="Print what would be fetched, from where, and what is there.")
def fetch_command(kind: str | None, names: tuple[str, ...], **given: Any) -> int:
    """Fetch benchmarks' files (data) or models' weights, with NAMES of benchmarks or models.

    Without NAMES: what `vldock matrix` evaluates by default, 20 benchmarks or two models. all24 and all name every one.
    Killed or stopped, the same command goes on where it was. What is there and right is kept; what is wrong never gets
    its final name. Weights lie as huggingface_hub writes them, so that an offline container finds them.

    \b
    Examples:
      vldock fetch data --data ~/LMUData
      vldock fetch weights llava_v1.5_7b --cache ~/vldock-cache --env-file .env
      vldock fetch data POPE MMStar --data ~/LMUData --mirror https://mirror.example/tsv --dry-run
      vldock fetch --bundle /mnt/usb/vldock-bundle
    """
    if given["bundle_path"] is None and kind is None:
        raise UsageError("neither data nor weights is named", expected="one of them, or --bundle for both")
    if given["record"] and given["quick"]:
        raise UsageError("--record with --quick", expected="one of the two: a record needs the bytes read")
    kinds = KINDS if kind is None else (kind,)
    folder = given["locks"] or checkout.root() / "locks"
    lock = locked_files.load_weights(folder)
    hub = Hub((given["endpoint"] or lock.endpoint).rstrip("/"), hub_token.find_token(given["env_file"], os.environ))
    web = Web(hub, policy=RetryPolicy(attempts=given["retries"]), stop=threading.Event(), log=say)
    try:
        return _fetch(web, kinds, names, folder, given)
    except KeyboardInterrupt:
        web.stop.set()
        say("stopped; the parts that are here are kept: the same command goes on from them")
        return 130


def _fetch(web: Web, kinds: tuple[str, ...], names: tuple[str, ...], folder: Path, given: dict[str, Any]) -> int:
    roots = _roots(kinds, given)
    job = _job(web, kinds, names, folder, roots, given)
    if given["dry_run"]:
        if given["as_json"]:
            print_json(fetch_progress.plan_json(job))
        else:
            click.echo("\n".join(fetch_progress.plan_lines(job)))
        return 0
    with ExitStack() as stack:
        for place in {place for place in (roots.data, roots.hub) if place}:
            stack.enter_context(fetch_execute.lock_folder(place))
        return _work(web, job, folder, roots, given)


def _work(web: Web, job: DownloadJob, folder: Path, roots: Roots, given: dict[str, Any]) -> int:
    wanted: Path | None = given["bundle_path"]
    fetch_execute.require_room(job)
    if wanted and wanted != bundle_write.staging_folder(wanted):  # an archive, and the files it is made of
        whole = sum(item.total or 0 for item in job.files)
        fetch_execute.require_bytes(job.missing_bytes() + whole, wanted.parent)
    screen = console(stderr=True)
    with fetch_progress.open_display(screen, total=len(job.files)) as show:
        report = fetch_execute.execute(
            web,
            job,
            jobs=given["jobs"],
            show=show,
            quick=given["quick"] and wanted is None,
            cache=None if wanted else roots.hub,
        )
    if given["record"]:
        locked_files.record_data(folder, fetch_execute.data_for_lock(report))
        locked_files.record_weights(folder, fetch_execute.repos_for_lock(report))
    made = (
        bundle_write.make(report, stage=bundle_write.staging_folder(wanted), path=wanted)
        if wanted and not report.failures
        else None
    )
    if given["as_json"]:
        print_json(report.as_json() | ({"bundle": made.as_json()} if made else {}))
    lines = fetch_progress.closing_lines(report) + (made.lines() if made else [])
    click.echo("\n".join(lines), err=given["as_json"] or bool(report.failures))
    return report.exit_code


def _roots(kinds: tuple[str, ...], given: dict[str, Any]) -> Roots:
    data, cache, wanted = given["data"], given["cache"], given["bundle_path"]
    hub = cache / HUB_FOLDER if cache else None
    if wanted:
        stage = bundle_write.staging_folder(wanted)
        return Roots(stage / bundle_write.DATA, stage / HUB_FOLDER, data, hub)
    if "data" in kinds and data is None:
        raise UsageError("no folder for benchmarks", expected="--data FOLDER, or LMUData", hint="--data ~/LMUData")
    if "weights" in kinds and hub is None:
        raise UsageError("no folder for weights", expected="--cache FOLDER", hint="--cache ~/vldock-cache")
    return Roots(data if "data" in kinds else None, hub if "weights" in kinds else None)


def _job(
    web: Web, kinds: tuple[str, ...], names: tuple[str, ...], folder: Path, roots: Roots, given: dict[str, Any]
) -> DownloadJob:
    lock = locked_files.load_weights(folder)
    job = DownloadJob()
    if "data" in kinds and roots.data:
        job += fetch_plan.ask_sizes(
            fetch_plan.plan_data(
                fetch_plan.choose_data(names, locked_files.load_datasets(folder)),
                roots.data,
                hub=web.hub,
                official=lock.endpoint,
                mirror=given["mirror"],
                seed=roots.data_seed,
            ),
            web=web,
            jobs=given["jobs"],
        )
    if "weights" in kinds and roots.hub:
        repos = fetch_plan.choose_repos(names, lock)
        job += fetch_plan.plan_weights(repos, roots.hub, web=web, jobs=given["jobs"], seed=roots.hub_seed)
    return job
