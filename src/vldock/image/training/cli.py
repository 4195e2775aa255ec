"""Fine-tune LLaVA-1.5 or LLaVA-NeXT: data checked first, resumable, exported with `train export`.

    python train.py --config flowers.yaml train.epochs=3 out=/workspace/checkpoints/flowers
    python test_trainer.py --config flowers.yaml                  the preflight alone, as train.py --check
    python train.py --print-config                                every setting with its default
    python -m vldock.image train export checkpoints/flowers       merged weights
    torchrun --nnodes=1 --master_addr=127.0.0.1 --nproc_per_node=2 -m vldock.image train --config flowers.yaml

After a kill the same command resumes from the newest checkpoint. llava/train/workspace_train.py and the scripts at
/workspace also take the arguments of LLaVA's train.py (llava_arguments).
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vldock.common.errors import VldockError
from vldock.image.startup import prepare as startup
from vldock.image.training import config as settings

NOISE = ("`resume_download` is deprecated", "pkg_resources is deprecated")  # of pinned libraries about each other

if TYPE_CHECKING:
    from vldock.image.training.config import Config
    from vldock.image.training.dataset import Dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`."""
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="override the file: train.epochs=3")
    parser.add_argument("--config", type=Path, help="a YAML file (default: the values of --print-config)")
    parser.add_argument("--check", action="store_true", help="run the preflight only; nothing is trained")
    parser.add_argument("--no-check", action="store_true", help="train without the preflight (the data is read anyway)")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration as YAML and exit")


def main(arguments: argparse.Namespace | Sequence[str]) -> int:
    """Run `train` and return its exit status.

    A list may hold arguments of LLaVA's train.py too. Errors of vldock are printed where a list is given, else raised.
    """
    if isinstance(arguments, argparse.Namespace):
        return _main(arguments)
    from vldock.image.training import llava_argument_table, llava_arguments

    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name, description=__doc__, formatter_class=argparse.RawTextHelpFormatter,
        epilog=llava_argument_table.render_help(),
    )  # fmt: skip
    add_arguments(parser)
    try:
        translated = llava_arguments.translate(list(arguments))
        for note in translated.notes if _is_first() else ():
            print(note, file=sys.stderr)
        return _main(parser.parse_args(translated.arguments))
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _accepted(data: Dataset) -> str:
    return "".join(f"; {count} {kind}" for kind, count in data.accepted.items())


def _main(args: argparse.Namespace) -> int:
    config = settings.load(args.config, args.settings)
    if args.print_config:
        print(config.to_yaml(), end="")
        return 0
    startup.prepare()
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    from vldock.image.offline.errors import NotCached
    from vldock.image.training.dataset import load, out_folder, require_captions

    config, first = replace(config, out=str(out_folder(config.out))), _is_first()

    def log(text: str) -> None:
        if first:
            print(text, file=sys.stderr, flush=True)

    try:
        data = load(config.data)
    except NotCached as error:
        from vldock.image.training.inputs import absent_error

        raise absent_error(config, error, data=True, log=log) from error
    if config.model.template == "plain":
        require_captions(data)
    log(f"data: {len(data.training)} training and {len(data.heldout)} held-out records, all whole{_accepted(data)}")
    from vldock.image.training import inputs

    try:
        return _check_and_fit(args, config, data, first=first, log=log)
    except OSError as error:  # of the Hub's client, as transformers passes it on
        if error.errno is not None or not inputs.find_absent_weights(config):
            raise
        raise inputs.absent_error(config, error, data=False, log=log) from error


def _check_and_fit(
    args: argparse.Namespace, config: Config, data: Dataset, *, first: bool, log: Callable[[str], None]
) -> int:
    from vldock.image.training.model import base
    from vldock.image.training.model import load as models

    base.require_possible(config, models.device_of())
    if line := base.describe(config):
        log(line)
    if first and not args.no_check:  # torchrun's other processes wait for the first
        from vldock.image.training.checks import preflight as training_preflight

        if status := training_preflight.report(config, data, log=log):
            return status
    if args.check:
        return 0
    from vldock.image.training.fit import fit

    result = fit(config, data, log=log)
    if first:
        print(f"{result.folder}: {result.steps} steps, held-out accuracy {result.metrics['accuracy']:.1%}")
        print_next(config, log=log)
    return 0


def print_next(config: Config, *, log: Callable[[str], None]) -> None:
    """Log what a trained run is for, and the command that makes a model of it."""
    if config.model.method == "projector":
        log(f"{config.out}/mm_projector.bin: for the next stage, model.projector_weights (--pretrain_mm_mlp_adapter)")
    log(f"for run.py: python -m vldock.image train export {config.out} --out /workspace/models/llava-NAME")
