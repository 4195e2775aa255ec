"""`vldock fetch`: download benchmarks, weights and data sets, or bundle them."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vldock.common.errors import UsageError
from vldock.common.hub_cache_layout import HUB_FOLDER
from vldock.host.cli import options
from vldock.host.downloads import bundle_write, code_preview, hub_token, locked_files, names
from vldock.host.downloads import execute as fetch_execute
from vldock.host.downloads import plan as fetch_plan
from vldock.host.downloads import progress as fetch_progress
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.plan import DownloadJob
from vldock.host.util import checkout
from vldock.host.util.console import console, print_json, say
from vldock.host.util.retry import RetryPolicy

DATA, WEIGHTS, DATASETS = KINDS = ("data", "weights", "datasets")
ENDPOINT = "HF_ENDPOINT"


@dataclass(frozen=True)
class Roots:
    """Folders of benchmarks, the hub cache, and seeds.

    Seeds may hold the same files.
    """

    data: Path | None
    hub: Path | None
    data_seed: Path | None = None
    hub_seed: Path | None = None


@click.command(name="fetch")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.argument("chosen", nargs=-1, metavar="[NAMES]...")
@click.option(
    "--revision", help="Branch, tag or commit of the one repository or data set. Default: the lock's, else main."
)
@options.DATA
@options.HUB_CACHE
@options.JOBS
@click.option("--env-file", type=options.PATH, help="Holds HUGGING_FACE_HUB_TOKEN=... Default: .env, if it is there.")
@click.option("--endpoint", envvar=ENDPOINT, metavar="URL", help="The Hub or a mirror of it. [env: HF_ENDPOINT]")
@click.option("--mirror", metavar="URL", help="Holds NAME.tsv of every benchmark; used instead of the usual hosts.")
@click.option(
    "--bundle",
    "bundle_path",
    type=options.PATH,
    metavar="DIR|FILE.tar.zst",
    help="One folder or archive to carry away.",
)
@click.option("--quick", is_flag=True, help="Trust the size of existing files; do not hash them.")
@click.option("--record", is_flag=True, help="Write commits, sizes and sha256 of the fetched files into locks/.")
@options.LOCKS
@click.option(
    "--retries",
    type=click.IntRange(1, 100),
    default=6,
    show_default=True,
    help="Attempts without a byte before giving up.",
)
@options.json_option("Print one JSON object to standard output, progress to standard error.")
@click.option("--dry-run", is_flag=True, help="Print what would be fetched, from where, and what exists.")
def fetch_command(kind: str | None, chosen: tuple[str, ...], **values: Any) -> int:
    """Download benchmarks (data), weights of models, or data sets of the Hub.

    NAMES are benchmarks; models, or ORG/NAME of any repository; data sets, ORG/NAME or an alias (oxford_flowers102).
    Default: what `vldock matrix` evaluates, 20 benchmarks or two models; all24 and all name every one. What
    locks/weights.json does not declare is taken at --revision or main, which is printed. Of weights in two formats,
    safetensors are taken. A LLaVA brings its vision tower along. Killed or stopped, the same command resumes. Valid
    files are kept; an invalid one never gets its final name. Weights and data sets lie as huggingface_hub writes them,
    so that an offline container finds them.

    \b
    Examples:
      vldock fetch data --data ~/LMUData
      vldock fetch weights llava_v1.5_7b --cache ~/vldock-cache --env-file .env
      vldock fetch weights liuhaotian/llava-v1.6-vicuna-7b --cache ~/vldock-cache
      vldock fetch datasets nelorth/oxford-flowers --cache ~/vldock-cache
      vldock fetch data POPE MMStar --data ~/LMUData --mirror https://mirror.example/tsv --dry-run
      vldock fetch --bundle /mnt/usb/vldock-bundle
    """
    if values["bundle_path"] is None and kind is None:
        raise UsageError(
            f"none of {', '.join(KINDS)} is named", expected="one of them, or --bundle for data and weights"
        )
    if values["record"] and values["quick"]:
        raise UsageError("--record with --quick", expected="one of the two: a record needs the bytes read")
    if values["revision"] and kind not in (WEIGHTS, DATASETS):
        raise UsageError("--revision is of a repository", expected=f"{WEIGHTS} or {DATASETS}, and one name")
    kinds = (DATA, WEIGHTS) if kind is None else (kind,)
    folder = values["locks"] or checkout.root() / "locks"
    lock = locked_files.load_weights(folder)
    hub = Hub((values["endpoint"] or lock.endpoint).rstrip("/"), hub_token.find_token(values["env_file"], os.environ))
    web = Web(hub, policy=RetryPolicy(attempts=values["retries"]), stop=threading.Event(), log=say)
    try:
        return _fetch(web, kinds, chosen, folder, values)
    except KeyboardInterrupt:
        web.stop.set()
        say("stopped; the parts that are here are kept: the same command goes on from them")
        return 130


def _fetch(web: Web, kinds: tuple[str, ...], chosen: tuple[str, ...], folder: Path, values: dict[str, Any]) -> int:
    roots = _roots(kinds, values)
    job = _job(web, kinds, chosen, folder, roots, values)
    if values["dry_run"]:
        if values["as_json"]:
            print_json(fetch_progress.plan_json(job))
        else:
            click.echo("\n".join(fetch_progress.plan_lines(job)))
        return 0
    with ExitStack() as stack:
        for place in {place for place in (roots.data, roots.hub) if place}:
            stack.enter_context(fetch_execute.lock_folder(place))
        return _download(web, job, folder, roots, values)


def _download(web: Web, job: DownloadJob, folder: Path, roots: Roots, values: dict[str, Any]) -> int:
    bundle: Path | None = values["bundle_path"]
    fetch_execute.require_room(job)
    if bundle and bundle != bundle_write.staging_folder(bundle):  # an archive, and the files it is made of
        whole = sum(item.total or 0 for item in job.files)
        fetch_execute.require_bytes(job.missing_bytes() + whole, bundle.parent)
    screen = console(stderr=True)
    with fetch_progress.open_display(screen, total=len(job.files)) as show:
        report = fetch_execute.execute(
            web,
            job,
            jobs=values["jobs"],
            show=show,
            quick=values["quick"] and bundle is None,
            cache=None if bundle else roots.hub,
        )
    if values["record"]:
        locked_files.record_data(folder, fetch_execute.data_for_lock(report))
        locked_files.record_weights(folder, fetch_execute.repos_for_lock(report))
    made = (
        bundle_write.make(report, stage=bundle_write.staging_folder(bundle), path=bundle)
        if bundle and not report.failures
        else None
    )
    if values["as_json"]:
        print_json(report.as_json() | ({"bundle": made.as_json()} if made else {}))
    lines = fetch_progress.closing_lines(report) + (made.lines() if made else [])
    click.echo("\n".join(lines), err=values["as_json"] or bool(report.failures))
    return report.exit_code


def _roots(kinds: tuple[str, ...], values: dict[str, Any]) -> Roots:
    data, cache, bundle = values["data"], values["cache"], values["bundle_path"]
    hub = cache / HUB_FOLDER if cache else None
    if bundle:
        stage = bundle_write.staging_folder(bundle)
        return Roots(stage / bundle_write.DATA, stage / HUB_FOLDER, data, hub)
    if DATA in kinds and data is None:
        raise UsageError("no folder for benchmarks", expected="--data FOLDER, or LMUData", hint="--data ~/LMUData")
    if kinds != (DATA,) and hub is None:
        raise UsageError(f"no folder for {kinds[-1]}", expected="--cache FOLDER", hint="--cache ~/vldock-cache")
    return Roots(data if DATA in kinds else None, hub if kinds != (DATA,) else None)


def _job(
    web: Web, kinds: tuple[str, ...], chosen: tuple[str, ...], folder: Path, roots: Roots, values: dict[str, Any]
) -> DownloadJob:
    lock = locked_files.load_weights(folder)
    job = DownloadJob()
    if DATA in kinds and roots.data:
        job += fetch_plan.ask_sizes(
            fetch_plan.plan_data(
                names.choose_data(chosen, locked_files.load_datasets(folder)),
                roots.data,
                hub=web.hub,
                official=lock.endpoint,
                mirror=values["mirror"],
                seed=roots.data_seed,
            ),
            web=web,
            jobs=values["jobs"],
        )
    if kinds != (DATA,) and roots.hub:
        revision = values["revision"]
        wanted = (
            names.choose_datasets(chosen, revision=revision)
            if DATASETS in kinds
            else names.choose_repos(chosen, lock, revision=revision)
        )
        hub_job = fetch_plan.plan_repos(
            wanted, roots.hub, web=web, jobs=values["jobs"], seed=roots.hub_seed, find=lock.get
        )
        for line in fetch_progress.unpinned_lines(hub_job):
            say(line)
        pins = {item.repo: item.pin for item in lock.repositories}
        code_preview.require_runnable(web, hub_job.repos, roots.hub, pins=pins, log=say)
        job += hub_job
    return job
