"""Whole verification, from choice of GPUs to receipt.

It chooses GPUs, runs groups, merges with an earlier verification, and writes the receipt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError
from vldock.host.containers import gpus
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine.client import EngineStatus
from vldock.host.images import local as local_images
from vldock.host.receipts import suite as receipt_suite
from vldock.host.receipts import write as receipt_write
from vldock.host.receipts.statement import BENCH_GROUP, GPU_GROUP, Inputs
from vldock.host.util.console import Say
from vldock.host.verification import groups as verify_groups
from vldock.host.verification import mini_benchmark, repeat, suite
from vldock.host.verification.repeat import EarlierVerification
from vldock.host.verification.suite import TimedResult, VerificationRequest

REPORTS = "outputs/verify"
SELFTEST = "selftest.json"  # of tests/image/container/test_gpu_main_job.py


@dataclass(frozen=True)
class VerifyOptions:
    """Options of `vldock verify`; `folder` is the checkout, `again` the groups to repeat."""

    image: str
    folder: Path
    groups: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    gpus: str = "auto"
    require_gpu: bool = False
    reports: Path | None = None
    key: Path | None = None
    sbom: Path | None = None
    bench_run: Path | None = None


@dataclass(frozen=True)
class VerificationOutcome:
    """Results of a verification, and whether the image is verified by them."""

    image: str
    reports: Path
    results: tuple[TimedResult, ...]
    verified: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        groups = [
            {
                "name": one.result.name,
                "status": one.result.status,
                "failures": one.result.failures,
                "attempts": one.result.attempts,
            }
            for one in self.results
        ]
        return {"image": self.image, "passed": self.verified, "reports": str(self.reports), "groups": groups}


def verify(options: VerifyOptions, *, client: Any, say: Say) -> VerificationOutcome:
    """Run the groups on the image, and record their results.

    results.json and receipt.json are written beside the groups' reports. Raises EnvironmentUnfit without the image,
    UsageError for options that contradict each other, and as `repeat.load` does where the earlier verification cannot
    be continued.
    """
    image = local_images.find(client, options.image, hint=f"vldock build --tag {options.image}")
    inputs = receipt_suite.read_inputs(options.folder)
    earlier = _load_earlier(options, client=client, image=image, inputs=inputs) if options.again else None
    request = _make_request(options, image=str(image.id), earlier=earlier, say=say)
    scored = _score_benchmark(options, image=request.image)
    results = [*suite.run_groups(request, client=client, say=say), *scored]
    gpu = name_tested_gpu(request, results)
    sbom: Path | str | None = options.sbom
    if earlier:
        results = earlier.merge(results)
        gpu = gpu if GPU_GROUP in options.again else earlier.receipt.gpu
        sbom = sbom or earlier.receipt.sbom
    suite.save_results(request.reports / repeat.RESULTS, options.image, results)
    verification = receipt_write.Verification(
        image=request.image,
        name=options.image,
        groups=tuple(one.result for one in results),
        gpu=gpu,
        sbom=sbom,
        inputs=inputs,
    )
    receipt = request.reports / repeat.RECEIPT
    receipt_write.write_receipt(receipt, verification, client=client, key=options.key, folder=options.folder)
    verified = suite.is_verified(results, require_gpu=options.require_gpu)
    return VerificationOutcome(options.image, request.reports, tuple(results), verified)


def _load_earlier(options: VerifyOptions, *, client: Any, image: Any, inputs: Inputs) -> EarlierVerification:
    """Return the verification to repeat, with its reports renamed."""
    earlier = repeat.load(
        options.reports.resolve() if options.reports else None,
        root=Path(REPORTS).resolve(),
        image=local_images.read_identity(client, image),
        name=options.image,
        suite=inputs,
        key=options.key,
    )
    earlier.require_groups(options.again)
    earlier.keep_reports(options.again)
    return earlier


def _make_request(
    options: VerifyOptions, *, image: str, earlier: EarlierVerification | None, say: Say
) -> VerificationRequest:
    """Return the groups to run, with the GPUs of this engine."""
    groups = options.again or options.groups or verify_groups.ORDER
    chosen, why = "none", ""
    if GPU_GROUP in groups:
        chosen, why = choose_gpus(options.gpus, docker_client.status(), required=options.require_gpu)
        say(f"group {GPU_GROUP}: {f'on GPU {chosen}' if chosen != 'none' else f'skipped, {why}'}")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    reports = earlier.reports if earlier else (options.reports or Path(REPORTS) / stamp).resolve()
    return VerificationRequest(image, options.folder, reports, groups, gpus=chosen, no_gpu=why)


def choose_gpus(requested: str, status: EngineStatus, *, required: bool) -> tuple[str, str]:
    """Return the GPUs of the group gpu, and a reason.

    The reason is for 'none': the user's choice, or no GPU here. A GPU of the engine is used unless --gpus none; a
    required one is requested in any case.
    """
    if required and requested in ("auto", "none"):
        return "all", ""
    absent = gpus.why_unavailable(status)
    if requested == "none" and absent is None:
        return "none", "by choice: --gpus none, and this engine has a GPU"
    chosen, _ = gpus.resolve(requested, status)
    return chosen, f"no GPU: {absent}" if chosen == "none" else ""


def name_tested_gpu(request: VerificationRequest, results: Sequence[TimedResult]) -> str | None:
    """Return the GPU that passed the group gpu, as its self-test named it.

    None where the group did not pass.
    """
    if not any(one.result.name == GPU_GROUP and one.result.status == "passed" for one in results):
        return None
    path = request.reports / SELFTEST
    return str(json.loads(path.read_text(encoding="utf-8"))["device"]) if path.is_file() else request.gpus


def _score_benchmark(options: VerifyOptions, *, image: str) -> list[TimedResult]:
    """Return the result of the mini-benchmark where its run was named.

    Raises UsageError where the group lacks one.
    """
    if options.bench_run is None:
        if BENCH_GROUP in options.groups:
            raise UsageError(f"--group {BENCH_GROUP} without --bench-run", expected="the folder of a finished run")
        return []
    bounds = mini_benchmark.load(options.folder / mini_benchmark.FILE)
    return [TimedResult(mini_benchmark.score_run(options.bench_run, image=image, bounds=bounds), 0.0)]
