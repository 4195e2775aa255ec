"""`vldock session start`: a container with models loaded, ready to evaluate."""

from __future__ import annotations

import getpass
from typing import Any

import click

from vldock.common import standin_choice
from vldock.host.cli.options import container_options, json_option
from vldock.host.containers import gpus, terminal
from vldock.host.containers.spec import Spec
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.runs.plan import choose_models
from vldock.host.sessions import control as session_control
from vldock.host.sessions import display as session_display
from vldock.host.sessions import find as session_find
from vldock.host.sessions import owner as session_owner
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions import start as session_start
from vldock.host.util import process
from vldock.host.util.console import console, print_json, say

NAME = click.argument("name", default=session_spec.DEFAULT, required=False)
JSON = json_option("Print JSON to standard output.")


@click.command(name="start")
@NAME
@click.option("--model", "-m", "models", multiple=True, help="Loaded at the start; repeatable.")
@container_options()
@click.option("--idle", metavar="DURATION", help="Stop after this time without work: 90s, 30m, 8h. Default: 8h.")
@click.option("--keep", is_flag=True, help="Never stop when idle.")
@click.option(
    "--restart",
    default="no",
    show_default=True,
    help="Docker's policy: no, on-failure[:N], always, unless-stopped.",
)
@click.option("--read-only", is_flag=True, help="A read-only root, with a tmpfs at /tmp.")
@click.option(
    "--owner", type=int, metavar="PID", help="Process that owns it: gc removes the session when that has ended."
)
@click.option("--timeout", default=1800.0, show_default=True, help="Seconds until it must be ready.")
@click.option("--keep-failed", is_flag=True, help="Keep the container of a failed start.")
@click.option("--dry-run", is_flag=True, help="Print the docker command; start nothing.")
@JSON
def start_command(name: str, dry_run: bool, as_json: bool, timeout: float, keep_failed: bool, **options: Any) -> int:
    """Start a session and wait until its models are loaded.

    Prints the commands to use next. A start that fails or is stopped (Ctrl-C) leaves nothing. Exit code: the
    container's own for a refusal (2, 3, 4), 2 for a name in use, 1 for any other failure.

    \b
    Examples:
      vldock session start --model llava_v1.5_7b --data ~/LMUData --cache ~/vldock-cache --env-file .env
      vldock session start two -m llava_v1.5_7b -m llava_v1.5_13b --gpus all --idle 30m
      vldock session start --standin -m llava_v1.5_7b --network none --read-only --user 12345:12345
    """
    status = docker_client.require_engine()
    with docker_client.open_client() as client:
        spec = _spec(client, status, name, **options)
        if dry_run:
            click.echo(process.shell_text(spec.docker_argv()))
            return 0
        session_start.refuse_taken_name(session_find.find_named(client, name))
        with session_display.show_loading(console(stderr=True), name=name) as show:
            found = session_start.start(client, spec, show=show, seconds=timeout, keep_failed=keep_failed)
        lines = session_start.next_lines(found, models=found.models)
        if as_json:
            print_json({**session_display.session_json(found, session_control.read_status(found)), "next": lines})
        else:
            click.echo(
                "\n".join([f"session {name} is ready; evaluate with either of", *(f"  {line}" for line in lines)])
            )
    return 0


def _spec(client: Any, status: docker_client.EngineStatus, name: str, models: tuple[str, ...], **options: Any) -> Spec:
    idle = session_spec.idle_seconds(options.pop("idle"), keep=options.pop("keep"), restart=options["restart"])
    owner, env = options.pop("owner"), terminal.parse_environment(options.pop("pairs"), standin=options.pop("standin"))
    standin = bool(standin_choice.read_choice(env))
    chosen_models = choose_models(",".join(models), standin=standin) if models else ()
    requested = session_spec.SessionOptions(
        name=name,
        models=chosen_models,
        idle=idle,
        restart=options.pop("restart"),
        read_only=options.pop("read_only"),
        maker=getpass.getuser(),
        owner=session_owner.owner_mark(owner) if owner else None,
    )
    session_spec.container_name(name)
    chosen, lines = gpus.choose_for(
        chosen_models, options.pop("gpus_asked"), status, standin=standin, cache=options["cache"]
    )
    say("\n".join(lines))
    user = options.pop("user") or terminal.caller_user()
    reaps = session_spec.reaps_orphans(local_images.find(client, options["image"], hint="vldock build"))
    return session_spec.container_spec(
        requested, terminal.make_spec((), env=env, user=user, gpus=chosen, **options), reaps=reaps
    )
