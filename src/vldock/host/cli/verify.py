"""`vldock verify`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table

from vldock.common.errors import UsageError
from vldock.host.containers import gpus as gpus_of
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine.client import EngineStatus
from vldock.host.images import local as local_images
from vldock.host.images.identity import ImageIdentity
from vldock.host.receipts import suite as receipt_suite
from vldock.host.receipts import write as receipt_write
from vldock.host.receipts.statement import BENCH_GROUP, GPU_GROUP, GROUPS, Inputs
from vldock.host.util import checkout
from vldock.host.util.console import console, duration_text, say
from vldock.host.verification import groups as verify_groups
from vldock.host.verification import mini_benchmark
from vldock.host.verification import repeat as verify_repeat
from vldock.host.verification import suite as verification_suite
from vldock.host.verification.repeat import EarlierVerification

REPORTS = "outputs/verify"
SELFTEST = "selftest.json"  # of tests/image/test_gpu_main_job.py
STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


@click.command(name="verify")
@click.argument("image", default=checkout.IMAGE_TAG)
@click.option("--group", "groups", multiple=True, type=click.Choice(GROUPS), help="Only these; repeatable.")
@click.option(
    "--again",
    multiple=True,
    type=click.Choice(verify_groups.ORDER),
    help="Repeat this group of an earlier verification (--reports, or the latest of IMAGE) into its receipt.",
)
@click.option("--gpus", default="auto", show_default=True, help="auto, none, all, or 0,1: for the group gpu.")
@click.option("--require-gpu", is_flag=True, help="Without a GPU the group gpu fails.")
@click.option("--reports", type=click.Path(path_type=Path), help="Default: outputs/verify/<timestamp>.")
@click.option(
    "--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Signs the receipt (Ed25519)."
)
@click.option("--sbom", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its sha256 goes in.")
@click.option(
    "--bench-run",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of a finished matrix run on real weights: the group mini-benchmark (locks/bands.json).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to standard output.")
def verify_command(
    image: str,
    groups: tuple[str, ...],
    again: tuple[str, ...],
    gpus: str,
    require_gpu: bool,
    reports: Path | None,
    key: Path | None,
    sbom: Path | None,
    bench_run: Path | None,
    as_json: bool,
) -> int:
    """Test IMAGE from outside and inside, and write a receipt of what it passed.

    The group gpu runs where the engine has a GPU: the 40 cells by both engines, a session, training (selftest --gpu).
    Exit code 0 when every group passed (gpu may be skipped), 1 when one failed, 3 without the image or an engine.
    --again: 20, 21, 28 where the earlier verification is not there, of another image, or of other tests.

    \b
    Examples:
      vldock verify
      vldock verify vldock:4.37 --group static --group users
      vldock verify --require-gpu --key signing.pem
      vldock verify --group mini-benchmark --bench-run outputs/20260101-120000
      vldock verify --again inside
    """
    if again and (groups or bench_run):
        raise UsageError(
            "--again with --group or --bench-run", expected="one or the other", hint="vldock verify --help"
        )
    folder = checkout.root()
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = (reports or Path(REPORTS) / stamp).resolve()
    with docker_client.connected() as client:
        known = local_images.find(client, image, hint=f"vldock build --tag {image}")
        found = str(known.id)
        inputs = receipt_suite.read_inputs(folder)
        earlier = None
        if again:
            place = reports.resolve() if reports else None
            identity = local_images.read_identity(client, known)
            earlier = repeat(place, again, identity=identity, image=image, inputs=inputs, key=key)
            out = earlier.reports
        wanted = again or groups or verify_groups.ORDER
        chosen, why = settle_gpus(gpus, required=require_gpu) if GPU_GROUP in wanted else ("none", "")
        asked = verification_suite.VerificationRequest(
            image=found,
            folder=folder,
            reports=out,
            groups=wanted,
            gpus=chosen,
            no_gpu=why,
        )
        scored = bench(folder, bench_run, image=found, groups=groups)
        results = [*verification_suite.run_groups(asked, client=client, say=say), *scored]
        gpu = tested_gpu(asked, results)
        listed: Path | str | None = sbom
        if earlier:
            results = earlier.merged(results)
            gpu = gpu if "gpu" in again else earlier.receipt.gpu
            listed = sbom or earlier.receipt.sbom
        verification_suite.save_results(out / verify_repeat.RESULTS, image, results)
        receipt_write.write_receipt(
            out / verify_repeat.RECEIPT,
            client=client,
            image=found,
            name=image,
            groups=[one.result for one in results],
            key=key,
            gpu=gpu,
            sbom=listed,
            inputs=inputs,
            folder=folder,
        )
    good = verification_suite.is_verified(results, require_gpu=require_gpu)
    if as_json:
        click.echo(json.dumps({"image": image, "passed": good, "reports": str(out), "groups": [
            {"name": one.result.name, "status": one.result.status, "failures": one.result.failures,
             "attempts": one.result.attempts} for one in results
        ]}, indent=2))  # fmt: skip
    else:
        show(results, image=image, out=out, good=good)
    return 0 if good else 1


def settle_gpus(asked: str, *, required: bool) -> tuple[str, str]:
    """Return what choose_gpus does of this engine, and say it."""
    chosen, why = choose_gpus(asked, docker_client.status(), required=required)
    say(f"group {GPU_GROUP}: {f'on GPU {chosen}' if chosen != 'none' else f'skipped, {why}'}")
    return chosen, why


def tested_gpu(
    asked: verification_suite.VerificationRequest, results: Sequence[verification_suite.TimedResult]
) -> str | None:
    """Return the card that passed the group gpu, by the name its self-test wrote down; None where it did not pass."""
    if not any(one.result.name == GPU_GROUP and one.result.status == "passed" for one in results):
        return None
    path = asked.reports / SELFTEST
    return str(json.loads(path.read_text(encoding="utf-8"))["device"]) if path.is_file() else asked.gpus


def choose_gpus(asked: str, status: EngineStatus, *, required: bool) -> tuple[str, str]:
    """Return the GPUs of the group gpu, and where that is 'none' why it is skipped: by choice, or there is none here.

    A GPU that the engine can hand out is used unless --gpus none; where one is required it is asked for in any case.
    """
    if required and asked in ("auto", "none"):
        return "all", ""
    absent = gpus_of.why_unavailable(status)
    if asked == "none" and absent is None:
        return "none", "by choice: --gpus none, and this engine has a GPU"
    chosen, _ = gpus_of.resolve(asked, status)
    return chosen, f"no GPU: {absent}" if chosen == "none" else ""


def repeat(
    reports: Path | None,
    again: tuple[str, ...],
    *,
    identity: ImageIdentity,
    image: str,
    inputs: Inputs,
    key: Path | None,
) -> EarlierVerification:
    """Return the verification whose groups are repeated, their reports put aside; raises as verify_again.load does."""
    root = Path(REPORTS).resolve()
    earlier = verify_repeat.load(reports, root=root, image=identity, name=image, suite=inputs, key=key)
    earlier.require_groups(again)
    earlier.keep_reports(again)
    return earlier


def bench(
    folder: Path, run: Path | None, *, image: str, groups: tuple[str, ...]
) -> list[verification_suite.TimedResult]:
    """Return the mini-benchmark's result where a run was given; raises UsageError where the group lacks its run."""
    if run is None:
        if BENCH_GROUP in groups:
            raise UsageError(f"--group {BENCH_GROUP} without --bench-run", expected="the folder of a finished run")
        return []
    bounds = mini_benchmark.load(folder / mini_benchmark.FILE)
    return [verification_suite.TimedResult(mini_benchmark.score_run(run, image=image, bounds=bounds), 0.0)]


def show(results: list[verification_suite.TimedResult], *, image: str, out: Path, good: bool) -> None:
    """Print the table of groups, the verdict, and a line for each failed group with the names of its tests."""
    table = Table(title=f"{image}: {'verified' if good else 'NOT verified'}")
    for heading in ("group", "status", "passed", "failed", "skipped", "time", "why"):
        table.add_column(heading)
    for one in results:
        result = one.result
        numbers = [str(count) for count in (result.passed, result.failed, result.skipped)]
        why = result.reason or (f"attempt {result.attempts}" if result.attempts > 1 else "")
        table.add_row(
            result.name, f"[{STYLES[result.status]}]{result.status}[/]", *numbers, duration_text(one.seconds), why
        )
    from rich.console import Console

    plain = console()
    Console(width=plain.width, highlight=False, no_color=not plain.is_terminal).print(table)
    for line in verification_suite.failure_lines(results, image=image, reports=out):
        click.echo(line)
    click.echo(f"reports and receipt: {out}")
