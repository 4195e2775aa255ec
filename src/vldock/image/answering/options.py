"""Engine options of the image's command lines, recorded in the environment.

--engine, --batch-size, --feature-cache and --no-worker.
Standard library only: run.py parses its arguments before anything heavy is imported.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, MutableMapping

from vldock.common.inference_options import (
    BATCH_VARIABLE,
    BATCHED,
    CACHE_VARIABLE,
    ENGINE_VARIABLE,
    ENGINES,
    STOCK,
    Engine,
    choose,
    read_cache_limit,
    read_engine,
    read_feature_cache,
)

WORKER_VARIABLE = "VLDOCK_WORKER"

__all__ = ["Engine", "add", "describe", "resolve"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options, in a separate group."""
    group = parser.add_argument_group("vldock")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        help=f"{STOCK}: VLMEvalKit's own loop, one sample at a time; batched: several at once, same answers "
        f"(default: ${ENGINE_VARIABLE}, or {STOCK})",
    )
    group.add_argument(
        "--batch-size",
        metavar="N|auto",
        help=f"samples per batch of the batched engine; auto: as many as fit (default: ${BATCH_VARIABLE}, or auto)",
    )
    group.add_argument(
        "--feature-cache",
        action=argparse.BooleanOptionalAction,
        help="with the batched engine: read vision features from $VLDOCK_FEATURES and cache new ones there "
        f"(default: ${CACHE_VARIABLE}, or off)",
    )
    group.add_argument("--no-worker", action="store_true", help="load the model in this process, ignoring a session")


def resolve(args: argparse.Namespace, env: MutableMapping[str, str] | None = None) -> Engine:
    """Write the options into the environment and return the engine.

    An argument takes precedence over a variable.
    Raises UsageError as inference_options.choose does. Resolving twice changes nothing.
    """
    env = os.environ if env is None else env
    name = args.engine or env.get(ENGINE_VARIABLE, "").strip()
    # a batch size in the environment does not apply to a run whose arguments name the stock loop
    batch_size = "" if args.engine == STOCK else env.get(BATCH_VARIABLE, "").strip()
    cached = args.feature_cache
    if cached is None:  # the variable applies to batched runs only
        cached = name == BATCHED and read_feature_cache(env)
    engine = choose(name, args.batch_size or batch_size, feature_cache=cached)
    env[ENGINE_VARIABLE] = engine.name
    if engine.batch_size is None:
        env.pop(BATCH_VARIABLE, None)
    else:
        env[BATCH_VARIABLE] = str(engine.batch_size)
    if engine.feature_cache:
        read_cache_limit(env)  # raises for a wrong value now, not after the model is loaded
    env[CACHE_VARIABLE] = str(int(engine.feature_cache))
    if args.no_worker:
        env[WORKER_VARIABLE] = "0"
    return engine


def describe(env: Mapping[str, str] | None = None) -> str:
    """Return the name of this run's engine, for its identity.

    `stock`, `batched/16` or `batched/auto`.
    """
    return read_engine(os.environ if env is None else env).describe()
