"""Options that several commands share, and the options of `vldock matrix`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vldock.common import inference_options, prompt_style
from vldock.host.util import checkout
from vldock.host.util.retry import RetryPolicy

Command = Callable[..., Any]

FOLDER = click.Path(path_type=Path)


def samples(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Return the number of samples; None for 'all'."""
    if value == "all":
        return None
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a whole number of at least 1 nor 'all'", ctx, param)


SAMPLES = click.option(
    "--samples",
    callback=samples,
    metavar="N|all",
    envvar="VLMEVAL_SAMPLE_LIMIT",
    default="all",
    show_default=True,
    help="First N samples of each benchmark. [env: VLMEVAL_SAMPLE_LIMIT]",
)
DEVICES = (
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="With --gpus none: CPU devices. Default: 1; for stand-ins up to 4, as the cores and cells allow.",
    ),
    click.option(
        "--spread/--no-spread", default=True, show_default=True, help="A container for each GPU, or one for all."
    ),
    click.option(
        "--data-parallel",
        metavar="auto|off|N",
        default="auto",
        show_default=True,
        help="A cell on several devices by torchrun: where that ends sooner, never, or N for every cell.",
    ),
)
OPTIONS = (
    click.option("--image", default=checkout.IMAGE_TAG, show_default=True),
    SAMPLES,
    click.option("--models", help="Comma list. Default: the two LLaVA-1.5 models."),
    click.option("--benchmarks", default="all", show_default=True, help="all (20), all24, or a comma list."),
    click.option("--gpus", "gpus_asked", default="auto", show_default=True, help="auto, all, none, or 0,1."),
    *DEVICES,
    click.option("--data", type=FOLDER, envvar="LMUData", help="Folder of benchmark TSVs. [env: LMUData]"),
    click.option("--cache", type=FOLDER, help="Folder of weights and caches; kept between runs."),
    click.option("--read-only-inputs", is_flag=True, help="Mount --data and --cache read-only: a shared store."),
    click.option("--env-file", type=FOLDER, help="Mounted read-only at /workspace/.env: tokens, VLDOCK_*, HF_*."),
    click.option("--user", help="UID:GID. Default: yours, so that results are yours."),
    click.option("--standin", is_flag=True, help="STAND-IN models and data: no weights needed, no real score."),
    click.option(
        "--prompt",
        type=click.Choice(prompt_style.TEMPLATES),
        default=prompt_style.UPSTREAM,
        show_default=True,
        envvar=prompt_style.VARIABLE,
        help="LLaVA's question worded as VLMEvalKit does, or as LLaVA's own evaluation. [env: VLDOCK_PROMPT]",
    ),
    click.option(
        "--engine",
        type=click.Choice(inference_options.ENGINES),
        envvar=inference_options.ENGINE_VARIABLE,
        help="Who asks the model: VLMEvalKit's own loop (stock, the default), or ours in batches. [env: VLDOCK_ENGINE]",
    ),
    click.option(
        "--batch-size",
        metavar="N|auto",
        envvar=inference_options.BATCH_VARIABLE,
        help="Rows the batched engine answers at once. Default: auto, as many as fit. [env: VLDOCK_BATCH_SIZE]",
    ),
    click.option(
        "--feature-cache/--no-feature-cache",
        default=None,
        envvar=inference_options.CACHE_VARIABLE,
        help="With the batched engine: vision features kept in --cache, for later runs. [env: VLDOCK_FEATURE_CACHE]",
    ),
    click.option("--network", help="none: no network at all."),
    click.option(
        "--outputs", type=FOLDER, default=Path("outputs"), show_default=True, help="Holds one folder per run."
    ),
    click.option("--resume", type=FOLDER, metavar="DIR", help="Go on with this run, by its own plan."),
    click.option("--fresh", is_flag=True, help="Start a new run although the latest is unfinished."),
    click.option(
        "--timeout", type=float, default=1800.0, show_default=True, help="Seconds of silence that end a cell."
    ),
    click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object to standard output, progress to error."
    ),
    click.option("--dry-run", is_flag=True, help="Print the plan and the docker commands; start nothing."),
)


def matrix_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to the command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def answering(ctx: click.Context, given: dict[str, Any]) -> inference_options.Engine:
    """Return the engine; a feature cache the environment asks for is meant for the runs that have batches."""
    name, cached = given["engine"] or "", bool(given["feature_cache"])
    if ctx.get_parameter_source("feature_cache") is not ParameterSource.COMMANDLINE:
        cached = cached and name == inference_options.BATCHED
    return inference_options.choose(name, given["batch_size"] or "", feature_cache=cached)


def registry_options(command: Command) -> Command:
    """Add --plain-http and --attempts to a command; it gets them as plain_http and attempts."""
    command = click.option(
        "--attempts",
        type=click.IntRange(1, 50),
        default=RetryPolicy.attempts,
        show_default=True,
        help="How often a registry that does not answer, or says 'later', is asked.",
    )(command)
    return click.option(
        "--plain-http", is_flag=True, help="Speak http, not https, to a registry that is not on this machine."
    )(command)
