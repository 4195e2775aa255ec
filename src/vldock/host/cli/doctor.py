"""`vldock doctor`: findings on this machine and on the image."""

from __future__ import annotations

import json
from typing import Any

import click

from vldock.common.errors import EnvironmentUnfit
from vldock.host import doctor
from vldock.host.cli import options
from vldock.host.containers import gpus, terminal
from vldock.host.docker_engine import client as docker_client
from vldock.host.util.console import print_json


@click.command(name="doctor")
@options.IMAGE_OR_NONE
@options.GPUS
@options.user_option("UID:GID. Default: yours.")
@options.json_option()
def doctor_command(image: str, gpus_asked: str, user: str | None, as_json: bool) -> int:
    """Check this machine, then run the image's checks in a container.

    Exit code 3 when this machine is not fit, else the image's own.

    \b
    Examples:
      vldock doctor
      vldock doctor --gpus all --json
    """
    checks = doctor.check_host(image)
    fit = all(check.status != "fail" for check in checks)
    if not as_json:
        click.echo("\n".join(map(str, checks)))
    answer, code = None, EnvironmentUnfit.exit_code
    if fit:
        with docker_client.open_client() as client:
            chosen, _ = gpus.resolve(gpus_asked, docker_client.status())
            user = user or terminal.caller_user()
            answer = doctor.run_in_image(client, image, gpus=chosen, as_json=as_json, user=user)
        code = answer.exit_code
    if as_json:
        found = _parse(answer.stdout) if answer else None
        print_json({"fit": code == 0, "host": [check.as_json() for check in checks], "image": found})
    elif answer:
        click.echo(answer.stdout)
        click.echo(answer.stderr, err=True, nl=bool(answer.stderr))
    return code


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"output": text}
