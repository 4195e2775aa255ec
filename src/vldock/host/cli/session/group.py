"""`vldock session`: the group, and its commands ls, status, logs, stop and gc."""

from __future__ import annotations

import click

from vldock.common.errors import EnvironmentUnfit
from vldock.host.cli.session.exec import eval_command, exec_command
from vldock.host.cli.session.start import JSON, NAME, start_command
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.sessions import control as session_control
from vldock.host.sessions import display as session_display
from vldock.host.sessions import find as session_find
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions import stop as session_stop
from vldock.host.util import process
from vldock.host.util.console import console, print_json, say

UNREADY = 3


@click.group(name="session")
def session_group() -> None:
    """Evaluate repeatedly in a container with loaded models.

    An evaluation there needs no start of a container and no load of a model.

    \b
    Examples:
      vldock session start --model llava_v1.5_7b --data ~/LMUData --cache ~/vldock-cache
      docker exec vldock-session-default python /workspace/VLMEvalKit/run.py --data POPE --model llava_v1.5_7b
      vldock session eval --data POPE,MMStar --samples 10
      vldock session stop
    """


@session_group.command(name="ls")
@JSON
def ls_command(as_json: bool) -> None:
    """List the sessions: models, state, age, idle time, memory.

    \b
    Examples:
      vldock session ls
      vldock session ls --json
    """
    with docker_client.open_client() as client:
        every = session_find.find_all(client)
        answers = session_control.read_statuses(every)
    if as_json:
        print_json([session_display.session_json(found, answer) for found, answer in zip(every, answers, strict=True)])
    elif every:
        console().print(session_display.table(every, answers))
    else:
        click.echo(f"no session; start one: {session_find.start_command(session_spec.DEFAULT)}")


@session_group.command(name="status")
@NAME
@JSON
def status_command(name: str, as_json: bool) -> int:
    """Print a session's state: models, running evaluations, memory.

    Exit code 0 when it is ready; 3 when it is absent, does not answer, or is starting or stopping.

    \b
    Examples:
      vldock session status
      vldock session status two --json
    """
    with docker_client.open_client() as client:
        found = session_find.require_running(client, name)
        answer = session_control.read_status(found)
    if answer is None:
        raise EnvironmentUnfit(
            f"session {name} does not answer: its container is {found.describe_state()}",
            hint=f"vldock session logs {name} --tail 20",
        )
    if as_json:
        print_json(answer.raw)
    else:
        click.echo("\n".join(session_display.status_lines(found, answer)))
    return 0 if answer.state == "ready" else UNREADY


@session_group.command(name="logs")
@NAME
@click.option("--follow", "-f", is_flag=True, help="Print new lines as they come; Ctrl-C ends.")
@click.option("--tail", type=int, help="Only the last N lines.")
def logs_command(name: str, follow: bool, tail: int | None) -> int:
    """Print the log of a session's server and worker.

    An evaluation's lines go to its caller.

    \b
    Examples:
      vldock session logs --tail 20
      vldock session logs two -f
    """
    with docker_client.open_client() as client:
        found = session_find.require(client, name)
    words = [*(["--follow"] if follow else []), *(["--tail", str(tail)] if tail is not None else [])]
    return process.run_attached([docker_cli.require_any().path, "logs", *words, found.container])


@session_group.command(name="stop")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Stop every session.")
@click.option("--force", is_flag=True, help="Stop running evaluations too; their predictions are kept.")
def stop_command(names: tuple[str, ...], everything: bool, force: bool) -> int:
    """Stop sessions and remove their containers.

    Exit code 1 where one is left because it is busy.

    \b
    Examples:
      vldock session stop
      vldock session stop one two --force
      vldock session stop --all
    """
    code = 0
    with docker_client.open_client() as client:
        chosen = [session_find.require(client, name) for name in names or (session_spec.DEFAULT,) if not everything]
        for found in session_find.find_all(client) if everything else chosen:
            try:
                session_stop.stop(found, force=force, say=say)
            except session_stop.SessionBusy as busy:
                say(busy.render())
                code = busy.exit_code
    return code


@session_group.command(name="gc")
@click.option("--older-than", metavar="DURATION", help="Also sessions idle for longer: 90s, 30m, 8h, 2d.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed; remove nothing.")
@JSON
def gc_command(older_than: str | None, dry_run: bool, as_json: bool) -> None:
    """Remove unusable sessions.

    Unusable are sessions that ended, never started, are unhealthy, or have an --owner that has ended.

    \b
    Examples:
      vldock session gc --dry-run
      vldock session gc --older-than 2h
    """
    idle = None if older_than is None else session_spec.parse_seconds(older_than)
    with docker_client.open_client() as client:
        stale = session_stop.plan(session_find.find_all(client), older_than=idle)
        if as_json:
            print_json(
                [{"session": item.session.name, "container": item.session.container, "why": item.why} for item in stale]
            )
        else:
            click.echo("\n".join(map(str, stale)) or "nothing to remove")
        if not dry_run:
            session_stop.remove_stale(stale, say=say)


for command in (start_command, eval_command, exec_command):
    session_group.add_command(command)
