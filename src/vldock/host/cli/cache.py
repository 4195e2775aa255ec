"""`vldock cache`: scan, verify, prune and diagnose the local caches."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import click

from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.host.cache import checkup, locations
from vldock.host.cache import items as cache_items
from vldock.host.cache import problems as cache_problems
from vldock.host.cache import prune as cache_prune
from vldock.host.cache import verify as cache_verify
from vldock.host.cache.items import Item
from vldock.host.cli import options
from vldock.host.util.console import duration_text, print_json, say, size_text

location_options = options.combine(
    options.cache_option("Default: $WORKSPACE_ROOT/cache, $HF_HOME, ~/.cache/huggingface.", hub_itself=True),
    options.DATA,
    click.option("--features", type=options.PATH, help="Folder of vision features. Default: CACHE/features."),
)


@click.group(name="cache")
def cache_group() -> None:
    """List, verify, prune and diagnose the caches.

    The caches hold models, data sets, benchmarks and features. See docs/use/offline-and-cache.md.

    \b
    Examples:
      vldock cache scan --cache ~/vldock-cache --data ~/LMUData
      vldock cache prune
      vldock cache doctor
    """


@cache_group.command(name="scan")
@location_options
@options.json_option()
def scan_command(as_json: bool, **folders: Path | None) -> None:
    """List cached items; then partial, orphaned and torn files.

    Each item has its kind, size, files and last use.

    \b
    Examples:
      vldock cache scan
      vldock cache scan --cache ~/vldock-cache --json
    """
    places = locations.find(**folders)
    items, flaws = cache_items.scan(places), cache_problems.find(places)
    if as_json:
        print_json({"items": [asdict(item) for item in items], "flaws": [asdict(flaw) for flaw in flaws]})
        return
    for item in items:
        click.echo(_line(item, time.time()))
    for flaw in flaws:
        click.echo(f"! {flaw.kind:<8} {size_text(flaw.size):>10}  {flaw.path}: {flaw.why}")
    total = sum(item.size for item in items)
    click.echo(f"{len(items)} items, {size_text(total)} in {places.root}; {len(flaws)} flaws")


def _line(item: Item, now: float) -> str:
    used = "unknown" if item.last_used is None else f"{duration_text(max(0.0, now - item.last_used))} ago"
    names = ", ".join("/".join(one.refs) or one.commit[:8] for one in item.revisions)
    revisions = f" [{names}]" if names else ""
    return f"{item.kind:<10} {size_text(item.size):>10} {item.files:>6} files  used {used:<17} {item.name}{revisions}"


@cache_group.command(name="verify")
@location_options
@click.option("--repair", is_flag=True, help="First rewrite each refs/ file whose text hides its snapshot.")
@options.json_option()
def verify_command(repair: bool, as_json: bool, **folders: Path | None) -> None:
    """Compare every file with its known digest.

    Every refs/ file is checked too. No network is used. Exit code 4 for damage.

    \b
    Examples:
      vldock cache verify --cache ~/vldock-cache --data ~/LMUData
      vldock cache verify --repair --cache ~/vldock-cache
    """
    places = locations.find(**folders)
    for was in cache_verify.repair(places) if repair else ():
        say(f"MENDED {was.path}: {was.mended} (it {was.flaw})")
    verdicts = cache_verify.verify(places)
    wrong = [one for one in verdicts if one.wrong]
    if as_json:
        print_json([asdict(one) for one in verdicts])
    for one in wrong if not as_json else ():
        click.echo(f"DAMAGED {one.path}: {one.wrong}\n     hint: {one.cure}")
    unknown = sum(not one.checked for one in verdicts)
    size = size_text(sum(one.size for one in verdicts if one.checked))
    say(f"{len(verdicts) - unknown} checked, {size}; {len(wrong)} damaged; {unknown} without a digest")
    if wrong:
        raise InputRefused(f"{len(wrong)} files are not what was downloaded", expected="what their names say")


@cache_group.command(name="prune")
@location_options
@click.option("--repo", "repos", multiple=True, metavar="ORG/NAME", help="All revisions of a repository; repeatable.")
@click.option("--unused", "unused_days", type=float, metavar="DAYS", help="Repositories not read for this long.")
@click.option("--detached", is_flag=True, help="Revisions without a branch or tag, also those loaded by commit.")
@click.option("--older-than", type=float, default=1.0, show_default=True, metavar="HOURS", help="Age of leftovers.")
@click.option("--dry-run/--confirm", default=True, help="Print the plan and delete nothing (default), or do it.")
def prune_command(
    repos: tuple[str, ...],
    unused_days: float | None,
    detached: bool,
    older_than: float,
    dry_run: bool,
    **folders: Path | None,
) -> None:
    """Delete leftovers, and the items named by options.

    Prints its plan; deletes nothing without --confirm.

    \b
    Examples:
      vldock cache prune
      vldock cache prune --unused 90 --confirm
      vldock cache prune --repo liuhaotian/llava-v1.5-13b --confirm
    """
    request = cache_prune.PruneRequest(repos, unused_days, detached, older_than * cache_prune.HOUR)
    plan = cache_prune.plan(locations.find(**folders), request)
    click.echo("\n".join(plan.lines()) or "nothing to delete")
    if dry_run:
        click.echo(f"{size_text(plan.size)} would become free" + ("; --confirm does it" if plan.size else ""))
        return
    click.echo(f"{size_text(cache_prune.execute(plan, log=say))} freed")


@cache_group.command(name="doctor")
@location_options
@click.option("--user", help="UID:GID the cache is for. Default: yours; for root, the folder's owner.")
@options.json_option()
def doctor_command(user: str | None, as_json: bool, **folders: Path | None) -> int:
    """Report faults of the caches, with repair commands.

    Each fault has its command. Exit code 3 where the caches are not fit.

    \b
    Examples:
      vldock cache doctor --cache ~/vldock-cache
      vldock cache doctor --user 1000:1000 --json
    """
    checks = checkup.examine(locations.find(**folders), user=user)
    fit = all(check.status != "fail" for check in checks)
    if as_json:
        print_json({"fit": fit, "checks": [check.as_json() for check in checks]})
    else:
        click.echo("\n".join(map(str, checks)))
    return 0 if fit else EnvironmentUnfit.exit_code
