"""`python -m vldock.image`: the commands inside the container.

A command is a line in COMMANDS: its module has a docstring, `add_arguments(parser)` and `main(args) -> int`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from vldock.common.errors import VldockError
from vldock.image.process.fast_exit import fast_exit
from vldock.image.startup import foreign_python

COMMANDS = {
    "doctor": ("vldock.image.doctor", "check this container: versions, patches, GPU, caches, data, weights, token"),
    "evaluate": ("vldock.image.evaluation.command", "evaluate one model on many benchmarks; loaded once, resumable"),
    "predict": ("vldock.image.predict.cli", "answer questions about images, with the same answers as run.py"),
    "session": ("vldock.image.session.cli", "keep models loaded and run run.py for docker exec"),
    "train": ("vldock.image.training.cli", "fine-tune a LLaVA; --check validates without training"),
    "train export": ("vldock.image.training.export_cli", "merge a trained run into a model that run.py evaluates"),
    "train head": ("vldock.image.heads.cli", "train a policy head on cached features: regression or flow matching"),
    "features": ("vldock.image.features.cli", "cache vision features: build, ls, fsck, evict"),
    "selftest": ("vldock.image.selftest", "run the main job on the stand-ins, on this CPU or GPU: minutes, one table"),
    "version": ("vldock.image.version", "print the versions of this image"),
}
ANSWERS = ("evaluate", "predict", "features")  # commands whose code decides a model's answers
EXIT_CODES = "exit status: 0 done, 1 a cell failed, 2 wrong arguments, 3 unfit environment, 4 refused input"


def main(argv: list[str]) -> int:
    """Run one sub-command and return its exit status.

    Only the module of that sub-command is imported.
    """
    parser = argparse.ArgumentParser(
        prog="python -m vldock.image",
        description="Commands inside the vldock container.",
        epilog=EXIT_CODES,
    )
    if " ".join(argv[:2]) in COMMANDS:  # a command of two words
        argv = [" ".join(argv[:2]), *argv[2:]]
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (path, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, epilog=EXIT_CODES)
        if argv[:1] == [name]:
            importlib.import_module(path).add_arguments(command)
    args = parser.parse_args(argv)
    try:
        if args.command in ANSWERS:
            foreign_python.refuse_foreign(os.environ)
        status: int = importlib.import_module(COMMANDS[args.command][0]).main(args)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 1
    return status


if __name__ == "__main__":
    foreign_python.drop_current_folder()
    fast_exit(main(sys.argv[1:]))
