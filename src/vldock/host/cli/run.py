"""`vldock run`, `vldock shell`, `vldock doctor` and `vldock version`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from vldock import __version__
from vldock.common.errors import EnvironmentUnfit
from vldock.host import doctor
from vldock.host.build import prune as build_prune
from vldock.host.containers import gpus, terminal
from vldock.host.containers.spec import Mount
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import print_json, say

FOLDER = click.Path(path_type=Path)


def container_options(command: Callable[..., Any], *, outputs: bool = True) -> Callable[..., Any]:
    """Add the options `run`, `shell` and, but for --outputs, `predict` share."""
    results = click.option(
        "--outputs", type=FOLDER, default=Path("outputs"), show_default=True, help="Results go here."
    )
    options = (
        click.option("--image", default=checkout.IMAGE_TAG, show_default=True),
        click.option("--gpus", "gpus_asked", default="auto", show_default=True, help="auto, all, none, or 0,1."),
        *([results] if outputs else []),
        click.option("--data", type=FOLDER, envvar="LMUData", help="Folder of benchmark TSVs. [env: LMUData]"),
        click.option("--cache", type=FOLDER, help="Folder of weights and caches; kept between runs."),
        click.option("--env-file", type=FOLDER, help="Mounted read-only at /workspace/.env: tokens, VLDOCK_*, HF_*."),
        click.option("--read-only-inputs", is_flag=True, help="Mount --data and --cache read-only: a shared store."),
        click.option("--env", "-e", "pairs", multiple=True, metavar="NAME=VALUE", help="Set in the container."),
        click.option("--user", help="UID:GID. Default: yours, so that results are yours."),
        click.option("--standin", is_flag=True, help="STAND-IN models and data: no weights needed, no real score."),
        click.option("--network", help="none: no network at all."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def start(
    argv: tuple[str, ...],
    gpus_asked: str,
    pairs: tuple[str, ...],
    standin: bool,
    *,
    mounts: tuple[Mount, ...] = (),
    stdin: bool = False,
    **given: Any,
) -> int:
    """Check the engine, settle the GPUs, and run `argv` on this terminal; `mounts` are more than the options name."""
    status = docker_client.status()
    if not status.answers:
        raise EnvironmentUnfit(f"no Docker engine answers: {status.problem}", hint="vldock engine up")
    chosen, line = gpus.resolve(gpus_asked, status)
    say(line)
    user = given.pop("user") or terminal.caller_user()
    env = terminal.parse_environment(pairs, standin=standin)
    wanted = terminal.make_spec(argv, env=env, user=user, gpus=chosen, **given)
    wanted = replace(wanted, mounts=(*wanted.mounts, *mounts))
    return terminal.run_attached(wanted, cli=docker_cli.require_any(), log=say, stdin=stdin)


@click.command(name="run", context_settings={"ignore_unknown_options": False})
@container_options
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
def run_command(argv: tuple[str, ...], **given: Any) -> int:
    """Run a command in a container, with outputs, data, caches and .env mounted; its exit code is passed on.

    \b
    Examples:
      vldock run --standin --network none -- python /workspace/VLMEvalKit/run.py --data POPE --model llava_v1.5_7b
      vldock run --data ~/LMUData --cache ~/vldock-cache --env-file .env -- \\
          python /workspace/VLMEvalKit/run.py --data MMBench_DEV_EN --model llava_v1.5_7b
      vldock run -e VLMEVAL_SAMPLE_LIMIT=10 -- python -m vldock.image doctor
    """
    return start(argv, **given)


@click.command(name="shell")
@container_options
def shell_command(**given: Any) -> int:
    """Open bash in a container, with the same mounts as `vldock run`.

    \b
    Examples:
      vldock shell
      vldock shell --standin --gpus none
    """
    return start(("bash",), **given)


@click.command(name="doctor")
@click.option("--image", default=checkout.IMAGE_TAG, show_default=True)
@click.option("--gpus", "gpus_asked", default="auto", show_default=True, help="auto, all, none, or 0,1.")
@click.option("--user", help="UID:GID. Default: yours.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to standard output.")
def doctor_command(image: str, gpus_asked: str, user: str | None, as_json: bool) -> int:
    """Tell whether this machine is fit, then ask the image the same from inside a container.

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
    answer, code = None, 3
    if fit:
        with docker_client.connected() as client:
            chosen, _ = gpus.resolve(gpus_asked, docker_client.status())
            user = user or terminal.caller_user()
            answer = doctor.run_in_image(client, image, gpus_asked=chosen, as_json=as_json, user=user)
        code = answer.exit_code
    if as_json:
        said = _read(answer.stdout) if answer else None
        print_json({"fit": code == 0, "host": [check.as_json() for check in checks], "image": said})
    elif answer:
        click.echo(answer.stdout)
        click.echo(answer.stderr, err=True, nl=bool(answer.stderr))
    return code


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"output": text}


@click.command(name="version")
@click.option("--image", default=checkout.IMAGE_TAG, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to standard output.")
def version_command(image: str, as_json: bool) -> None:
    """Print versions: vldock, the engine, and what the image's labels say.

    \b
    Examples:
      vldock version
      vldock version --json
    """
    status = docker_client.status()
    facts: dict[str, Any] = {"vldock": __version__, "engine": status.version, "image": None}
    if status.answers:
        from docker.errors import ImageNotFound

        with docker_client.connected() as client:
            try:
                found = client.images.get(image)
                facts["image"] = {"tag": image, "id": found.id, **doctor.read_labels(found)}
            except ImageNotFound:
                pass
    if as_json:
        print_json(facts)
        return
    click.echo(f"vldock {__version__}\nengine {status.version or 'none answers'}")
    described = facts["image"] or {"tag": image, "id": "not here"}
    click.echo("image  " + "\n       ".join(f"{key} {value}" for key, value in described.items()))


@click.command(name="clean")
@click.option("--images", is_flag=True, help="Remove the images too: the next build starts from its cache.")
@click.option("--force", is_flag=True, help="Remove running containers too.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed; remove nothing.")
def clean_command(images: bool, force: bool, dry_run: bool) -> None:
    """Remove the containers, and with --images the images, that vldock made.

    \b
    Examples:
      vldock clean --images --dry-run
      vldock clean
    """
    with docker_client.connected() as client:
        wanted = build_prune.plan(client, images=images, force=force)
        click.echo("\n".join(wanted.lines()) or "nothing to remove")
        if not dry_run:
            build_prune.execute(client, wanted, say=say)
