"""The command `vldock`: its groups of commands, lazy imports and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from vldock import __version__
from vldock.common.errors import EnvironmentUnfit, VldockError
from vldock.host.errors import error_text

INTERRUPTED = 130
EPILOG = """\b
Exit codes: 0 done; 1 a cell failed, or anything not listed; 2 wrong arguments;
3 this machine cannot do it; 4 a lock, file or image is not what was declared;
40, 41, 42 a download is denied, not there, or its host fails;
130 stopped by Ctrl-C. build, run and shell pass docker's own exit code on."""


class Entry(NamedTuple):
    """Command entry: module, attribute and one-line help.

    The module is one of this package; the attribute is the command's name in it.
    """

    module: str
    attribute: str
    summary: str

    def load(self) -> click.Command:
        """Import the module and return the command."""
        command: click.Command = getattr(importlib.import_module(f"{__package__}.{self.module}"), self.attribute)
        return command


# heading -> command -> entry; a module is imported when its command runs or its help is requested
GROUPS = {
    "Set up": {
        "engine": Entry("engine", "engine_group", "Start a Docker engine, or show its state."),
        "base": Entry("engine", "base_command", "Pull the base image by digest, or build it."),
        "build": Entry("build", "build_command", "Build the image."),
        "fetch": Entry("fetch", "fetch_command", "Download benchmarks and weights, verified, or bundle them."),
        "load": Entry("load", "load_command", "Unpack a bundle on a machine without a network."),
        "clean": Entry("clean", "clean_command", "Remove containers and images made by vldock."),
        "lock": Entry("build", "lock_command", "Write the dependency locks, or check them."),
        "generate": Entry("build", "generate_command", "Write the generated files, or check them."),
    },
    "Evaluate": {
        "matrix": Entry("matrix.command", "matrix_command", "Evaluate every model on every benchmark."),
        "session": Entry("session.group", "session_group", "Keep models loaded in a container; evaluate in seconds."),
        "predict": Entry("predict", "predict_command", "Ask a model a question about an image."),
        "run": Entry("run", "run_command", "Run a command in a container, with all mounts."),
        "shell": Entry("run", "shell_command", "Open bash in a container, with all mounts."),
    },
    "Inspect": {
        "models": Entry("catalogue.models", "models_command", "List the models, what each needs, and weights here."),
        "benchmarks": Entry("catalogue.benchmarks", "benchmarks_command", "List the benchmarks, and tables here."),
        "doctor": Entry("doctor", "doctor_command", "Report whether this machine and the image are fit."),
        "check": Entry("check", "check_command", "Check that benchmarks and weights are complete and valid."),
        "cache": Entry("cache", "cache_group", "List, verify, prune and diagnose the caches."),
        "report": Entry("report", "report_command", "Write a run's reports again, with sample images."),
        "compare": Entry("report", "compare_command", "Compare two runs sample by sample."),
        "equal": Entry("equal", "equal_command", "Report whether two sets of predictions are equal."),
        "passport": Entry("passport", "passport_group", "Show where a score came from, or why two differ."),
        "version": Entry("version", "version_command", "Print versions of vldock, the engine and the image."),
    },
    "Train": {
        "train": Entry("train", "train_command", "Fine-tune a LLaVA model in a container."),
    },
    "Ship": {
        "verify": Entry("verify", "verify_command", "Test an image from outside and inside; write its receipt."),
        "receipt": Entry("receipt", "receipt_group", "Sign receipts, and check them against an image."),
        "sbom": Entry("sbom", "sbom_command", "Write an image's bill of materials."),
        "os-packages": Entry("os_packages", "os_packages_command", "Compare an image's OS packages with the record."),
        "rebuild-proof": Entry("rebuild_proof", "rebuild_command", "Build twice and compare the bytes."),
        "promote": Entry("promote", "promote_command", "Copy a verified image by digest, then move its tags."),
    },
}
COMMANDS = {name: entry for group in GROUPS.values() for name, entry in group.items()}


class LazyGroup(click.Group):
    """Group with commands imported on demand.

    A command's module is imported only to run it or show its help.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None where there is none of that name."""
        return COMMANDS[cmd_name].load() if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands under their headings, without importing them."""
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                # one column for all sections, so that the summaries line up
                rows = [(f"{name:<{max(map(len, COMMANDS))}}", entry.summary) for name, entry in commands.items()]
                formatter.write_dl(rows)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vldock")
def cli() -> None:
    """One hash-locked Docker image for evaluating LLaVA-era models, and the harness around it.

    \b
    Examples:
      vldock engine up
      vldock build
      vldock matrix --standin --network none --gpus none
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    An error is printed as lines, without a traceback.
    """
    sys.exit(invoke(cli, argv))


def invoke(command: click.Command, argv: Sequence[str] | None = None) -> int:
    """Run a click command and return its exit code.

    Errors are printed to standard error.
    """
    try:
        value: Any = command.main(args=None if argv is None else list(argv), prog_name="vldock", standalone_mode=False)
    except VldockError as error:
        click.echo(error.render(), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away: `vldock ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # files and folders; requests' and docker's errors are OSErrors too
        unfit = EnvironmentUnfit(error_text(error), hint="vldock doctor")
        click.echo(unfit.render(), err=True)
        return unfit.exit_code
    return value if isinstance(value, int) else 0
