"""`python -m vldock.image doctor`: checks whether this container is fit to evaluate.

Exit status 3 when any check fails, else 0. Called by image.__main__ and, through it, by `vldock doctor`.

hardware   GPU, driver, shared memory
models     memory of each model on this device, its attention, what it was tried with
software   lock, patches, LLaVA's import, attention
workspace  user, caches, disk, benchmark files, weights, token
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

from vldock.common.check import Check, run_check
from vldock.common.errors import EnvironmentUnfit
from vldock.image.doctor import hardware, models, software, workspace
from vldock.image.startup import prepare as startup

MARKS = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skip": "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object: fit, standin, checks")
    parser.add_argument("--require-gpu", action="store_true", help="a missing GPU is a failure and not a warning")


def main(args: argparse.Namespace) -> int:
    """Run every check, print the findings, and return 0 or 3."""
    given = dict(os.environ)  # startup adds the variables of .env
    standin = startup.prepare()
    checks = examine(require_gpu=args.require_gpu, given=given)
    fit = not any(check.status == "fail" for check in checks)
    if args.json:
        print(json.dumps({"fit": fit, "standin": standin, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print(render(checks))
    return 0 if fit else EnvironmentUnfit.exit_code


def examine(*, require_gpu: bool = False, given: Mapping[str, str] = os.environ) -> list[Check]:
    """Return the findings of all checks, most important first.

    `given` is the environment before .env was read.
    """
    looks: dict[str, Callable[[], list[Check]]] = {
        "versions": software.check_versions,
        "patches": software.check_patches,
        "import llava": software.check_llava,
        "flash_attn": software.check_flash_attn,
        "attention": software.check_attention,
        "gpu": partial(hardware.check_gpu, required=require_gpu),
        "/dev/shm": hardware.check_shm,
        "user": workspace.check_user,
        "caches": workspace.check_caches,
        "disk": workspace.check_disk,
        "token": partial(workspace.check_token, given),
        "benchmarks": workspace.check_data,
        "weights": workspace.check_weights,
        "models": models.check_models,
    }
    return [check for name, look in looks.items() for check in run_check(name, look)]


def render(checks: list[Check]) -> str:
    """Return the findings as aligned lines and a verdict."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.status]:<5} {check.name:<{width}}  {check.seen}")
        pad = " " * (width + 8)
        lines += [f"{pad}expected: {check.expected}"] if check.expected and check.status in ("warn", "fail") else []
        lines += [f"{pad}hint: {check.hint}"] if check.hint and check.status != "ok" else []
    counts = Counter(check.status for check in checks)
    verdict = "unfit" if counts["fail"] else "fit"
    lines.append(f"{verdict}: {counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failed")
    return "\n".join(lines)
