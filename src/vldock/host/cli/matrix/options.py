"""Options of `vldock matrix`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vldock.common import inference_options, prompt_style
from vldock.host.cli import options as shared

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
INFERENCE = (
    click.option(
        "--prompt",
        type=click.Choice(prompt_style.TEMPLATES),
        default=prompt_style.UPSTREAM,
        show_default=True,
        envvar=prompt_style.VARIABLE,
        help="LLaVA's question worded as in VLMEvalKit, or as in LLaVA's own evaluation. [env: VLDOCK_PROMPT]",
    ),
    click.option(
        "--engine",
        type=click.Choice(inference_options.ENGINES),
        envvar=inference_options.ENGINE_VARIABLE,
        help="Inference engine: VLMEvalKit's own loop (stock, the default), or ours in batches. [env: VLDOCK_ENGINE]",
    ),
    click.option(
        "--batch-size",
        metavar="N|auto",
        envvar=inference_options.BATCH_VARIABLE,
        help="Rows in a batch of the batched engine. Default: auto, as many as fit. [env: VLDOCK_BATCH_SIZE]",
    ),
    click.option(
        "--feature-cache/--no-feature-cache",
        default=None,
        envvar=inference_options.CACHE_VARIABLE,
        help="With the batched engine: vision features cached in --cache for later runs. [env: VLDOCK_FEATURE_CACHE]",
    ),
)
matrix_options = shared.combine(
    shared.IMAGE,
    shared.SAMPLES,
    click.option("--models", help="all (7), or a comma list. Default: the two LLaVA-1.5 models."),
    click.option("--benchmarks", default="all", show_default=True, help="all (20), all24, or a comma list."),
    shared.GPUS,
    *DEVICES,
    shared.DATA,
    shared.cache_option(),
    shared.READ_ONLY_INPUTS,
    shared.ENV_FILE,
    shared.user_option(),
    shared.STANDIN,
    *INFERENCE,
    shared.NETWORK,
    click.option(
        "--outputs", type=shared.PATH, default=Path("outputs"), show_default=True, help="Holds one folder per run."
    ),
    click.option("--resume", type=shared.PATH, metavar="DIR", help="Continue this run, by its own plan."),
    click.option("--fresh", is_flag=True, help="Start a new run although the latest is unfinished."),
    click.option(
        "--timeout", type=float, default=1800.0, show_default=True, help="Seconds of silence that end a cell."
    ),
    shared.json_option("Print one JSON object to standard output, progress to standard error."),
    click.option("--dry-run", is_flag=True, help="Print the plan and the docker commands; start nothing."),
)


def choose_engine(ctx: click.Context, options: dict[str, Any]) -> inference_options.Engine:
    """Return the inference engine.

    A feature cache requested by the environment applies to runs of the batched engine only.
    """
    name, cached = options["engine"] or "", bool(options["feature_cache"])
    if ctx.get_parameter_source("feature_cache") is not ParameterSource.COMMANDLINE:
        cached = cached and name == inference_options.BATCHED
    return inference_options.choose(name, options["batch_size"] or "", feature_cache=cached)
