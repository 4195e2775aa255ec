"""The command `vldock`: its group, its exit codes, and the loading of each command when it is asked for."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

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

# command -> (module, what it is called there, one line): a module is imported when its command is asked for
COMMANDS = {
    "engine": ("vldock.host.cli.engine", "engine_group", "Start a Docker engine, or look at it."),
    "base": ("vldock.host.cli.engine", "base_command", "Pull the base image by digest, or make it."),
    "build": ("vldock.host.cli.build", "build_command", "Build the image."),
    "lock": ("vldock.host.cli.build", "lock_command", "Write the locks, or check them."),
    "run": ("vldock.host.cli.run", "run_command", "Run a command in a container, with the mounts right."),
    "train": ("vldock.host.cli.train", "train_command", "Fine-tune a LLaVA in a container."),
    "shell": ("vldock.host.cli.run", "shell_command", "Open a shell in a container."),
    "predict": ("vldock.host.cli.predict", "predict_command", "Ask a model a question on an image, in a container."),
    "doctor": ("vldock.host.cli.run", "doctor_command", "Tell whether this machine and the image are fit."),
    "verify": ("vldock.host.cli.verify", "verify_command", "Test an image from outside and inside; write its receipt."),
    "fetch": ("vldock.host.cli.fetch", "fetch_command", "Fetch benchmarks and weights, verified; or a bundle of them."),
    "load": ("vldock.host.cli.load", "load_command", "Unpack a bundle where there is no network."),
    "check": ("vldock.host.cli.check", "check_command", "Check that data and weights are whole and tables sound."),
    "session": ("vldock.host.cli.session", "session_group", "Keep models loaded in a container; evaluate in seconds."),
    "matrix": ("vldock.host.cli.matrix", "matrix_command", "Evaluate every model on every benchmark."),
    "cache": ("vldock.host.cli.cache", "cache_group", "See the caches and tend them: models, data, features."),
    "passport": ("vldock.host.cli.passport", "passport_group", "Show what a score came from, or why two differ."),
    "report": ("vldock.host.cli.report", "report_command", "Write a run's reports again, with samples to look at."),
    "compare": ("vldock.host.cli.report", "compare_command", "Compare two runs sample by sample."),
    "equal": ("vldock.host.cli.equal", "equal_command", "Tell whether two sets of predictions are the same."),
    "clean": ("vldock.host.cli.run", "clean_command", "Remove containers and images of vldock's."),
    "rebuild-proof": (
        "vldock.host.cli.rebuild_proof",
        "rebuild_command",
        "Build twice; are the bytes the same?",
    ),
    "os-packages": (
        "vldock.host.cli.rebuild_proof",
        "os_packages_command",
        "Compare OS packages with the record.",
    ),
    "sbom": ("vldock.host.cli.sbom", "sbom_command", "Write an image's bill of materials."),
    "receipt": ("vldock.host.cli.receipt", "receipt_group", "Sign receipts, and check them against an image."),
    "promote": ("vldock.host.cli.promote", "promote_command", "Copy a verified image by digest, and move its tags."),
    "version": ("vldock.host.cli.run", "version_command", "Print versions: vldock, image, engine."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when it is run or its help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in COMMANDS.items()])


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
    """Run the command line and exit with its code; an error is told in lines of its own, without a traceback."""
    sys.exit(invoke(cli, argv))


def invoke(command: click.Command, argv: Sequence[str] | None = None) -> int:
    """Run a click command and return its exit code; errors are printed to standard error."""
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
