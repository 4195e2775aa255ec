"""Bootstrap of a Debian image without a registry.

mmdebstrap writes the tree, and the engine imports it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import system_packages
from vldock.host.util import process
from vldock.host.util.console import Say, size_text

# mmdebstrap copies the host's resolver and name into the tree, for its own use: they are nobody's base.
HOOK = '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"'
CHANGES = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["bash"]',
)


def mmdebstrap_argv(*, suite: str, options: Sequence[str], target: Path) -> list[str]:
    """Return the mmdebstrap command for a tree of `suite`.

    The command writes the tree as a tar file.
    """
    return ["mmdebstrap", *options, HOOK, suite, str(target)]


def apt_proxies(*, run: process.Runner = process.capture) -> dict[str, str]:
    """Return the host's apt proxies as environment variables.

    mmdebstrap reads no apt.conf of the host; from the environment apt takes a proxy without writing it anywhere.
    """
    found = {}
    for name in ("http", "https"):
        answer = run(["apt-config", "dump", "--format", "%v", f"Acquire::{name}::Proxy"])
        value = answer.stdout.strip()
        if answer.ok and value and value != "DIRECT":
            found[f"{name}_proxy"] = value
    return found


def make(
    client: Any, *, tag: str, suite: str, options: Sequence[str], epoch: int, labels: Mapping[str, str], say: Say
) -> str:
    """Write the tree, import it under `tag` and return the image id.

    `epoch` bounds every time stamp in the tree, so that the same packages give the same bytes. Raises EnvironmentUnfit
    when mmdebstrap is missing and cannot be installed, or fails.
    """
    if shutil.which("mmdebstrap") is None:
        system_packages.install(["mmdebstrap"], log=say)
    with tempfile.TemporaryDirectory(prefix="vldock-base-") as folder:
        target = Path(folder) / "base.tar"
        command = mmdebstrap_argv(suite=suite, options=options, target=target)
        say(f"base: {process.shell_text(command, env={'SOURCE_DATE_EPOCH': str(epoch)})}")
        lines: list[str] = []

        def show(line: str) -> None:
            lines.append(line)
            say(f"  {line}")

        env = {"SOURCE_DATE_EPOCH": str(epoch), **apt_proxies()}
        code = process.stream(command, on_line=show, env=env)
        if code != 0:
            raise EnvironmentUnfit(
                f"mmdebstrap: exit {code}: {find_cause(lines)}",
                expected=f"a Debian archive of {suite} that answers",
                hint="apt-get update on this machine shows whether its archive can be reached",
            )
        say(f"base: importing {size_text(os.path.getsize(target))} as {tag}")  # noqa: PTH202
        return import_tree(client, target, tag=tag, labels=labels)


def import_tree(client: Any, tree: Path, *, tag: str, labels: Mapping[str, str]) -> str:
    """Import a tar file as an image; return its id.

    The image's configuration is fixed.
    """
    repository, _, name = tag.partition(":")
    changes = [*CHANGES, *(f'LABEL "{key}"="{value}"' for key, value in labels.items())]
    client.api.import_image_from_file(str(tree), repository=repository, tag=name, changes=changes)
    return str(client.images.get(tag).id)


def find_cause(lines: Sequence[str]) -> str:
    """Return the line of mmdebstrap's output with the cause of its failure."""
    failing = [line for line in lines if line.startswith(("E:", "W: Failed")) and "run_chroot" not in line]
    return (failing or list(lines) or ["no output"])[0]
