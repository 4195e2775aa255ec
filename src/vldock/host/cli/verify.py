"""`vldock verify`: test an image from outside and inside, and write its receipt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from vldock.common.errors import UsageError
from vldock.host.cli import options
from vldock.host.docker_engine import client as docker_client
from vldock.host.receipts.statement import GROUPS
from vldock.host.util import checkout
from vldock.host.util.console import console, duration_text, print_json, say
from vldock.host.verification import groups as verify_groups
from vldock.host.verification import suite, workflow
from vldock.host.verification.workflow import VerificationOutcome, VerifyOptions

STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


@click.command(name="verify")
@options.IMAGE_ARGUMENT
@click.option("--group", "groups", multiple=True, type=click.Choice(GROUPS), help="Only these; repeatable.")
@click.option(
    "--again",
    multiple=True,
    type=click.Choice(verify_groups.ORDER),
    help="Repeat this group of an earlier verification (--reports, or the latest of IMAGE) into its receipt.",
)
@click.option("--gpus", default="auto", show_default=True, help="auto, none, all, or 0,1: for the group gpu.")
@click.option("--require-gpu", is_flag=True, help="Without a GPU the group gpu fails.")
@click.option("--reports", type=options.PATH, help="Default: outputs/verify/<timestamp>.")
@click.option("--key", type=options.EXISTING_FILE, help="Signs the receipt (Ed25519).")
@click.option("--sbom", type=options.EXISTING_FILE, help="SBOM whose sha256 the receipt records.")
@click.option(
    "--bench-run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a finished matrix run on real weights: the group mini-benchmark (locks/bands.json).",
)
@options.json_option()
def verify_command(as_json: bool, **values: Any) -> int:
    """Test IMAGE from outside and inside, and write a receipt of the result.

    The group gpu runs where the engine has a GPU: the 40 cells by both engines, a session, training (selftest --gpu).
    Exit code 0 when every group passed (gpu may be skipped), 1 when one failed, 3 without the image or an engine.
    --again: 20, 21, 28 where the earlier verification is missing, of another image, or of other tests.

    \b
    Examples:
      vldock verify
      vldock verify vldock:4.37 --group static --group users
      vldock verify --require-gpu --key signing.pem
      vldock verify --group mini-benchmark --bench-run outputs/20260101-120000
      vldock verify --again inside
    """
    requested = VerifyOptions(folder=checkout.root(), **values)
    if requested.again and (requested.groups or requested.bench_run):
        raise UsageError(
            "--again with --group or --bench-run", expected="one or the other", hint="vldock verify --help"
        )
    with docker_client.open_client() as client:
        outcome = workflow.verify(requested, client=client, say=say)
    if as_json:
        print_json(outcome.as_json())
    else:
        _print(outcome)
    return 0 if outcome.verified else 1


def _print(outcome: VerificationOutcome) -> None:
    """Print the table of groups and the verdict.

    Then a line for each failed group with the names of its tests.
    """
    table = Table(title=f"{outcome.image}: {'verified' if outcome.verified else 'NOT verified'}")
    for heading in ("group", "status", "passed", "failed", "skipped", "time", "why"):
        table.add_column(heading)
    for one in outcome.results:
        result = one.result
        numbers = [str(count) for count in (result.passed, result.failed, result.skipped)]
        why = result.reason or (f"attempt {result.attempts}" if result.attempts > 1 else "")
        status = f"[{STYLES[result.status]}]{result.status}[/]"
        table.add_row(result.name, status, *numbers, duration_text(one.seconds), why)
    plain = console()
    Console(width=plain.width, highlight=False, no_color=not plain.is_terminal).print(table)
    for line in suite.failure_lines(outcome.results, image=outcome.image, reports=outcome.reports):
        click.echo(line)
    click.echo(f"reports and receipt: {outcome.reports}")
