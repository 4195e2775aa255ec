"""Session options, labels, and the container spec they make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from vldock.common.errors import UsageError
from vldock.host.containers.spec import Health, Spec

ROLE = "session"
NAME_LABEL = "vldock.session"
MODELS_LABEL = "vldock.session.models"
MAKER_LABEL = "vldock.session.created-by"
OWNER_LABEL = "vldock.session.owner"
PREFIX = "vldock-session-"
DEFAULT = "default"
NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")

INSIDE = ("python", "-m", "vldock.image", "session")
RUN_PY = "/workspace/VLMEvalKit/run.py"
IDLE_SECONDS = 8 * 3600.0
RESTARTS = re.compile(r"^(no|always|unless-stopped|on-failure(:\d+)?)$")
RETURNS_ALWAYS = ("always", "unless-stopped")  # docker starts these again after any end, an idle stop too
PYTHON = "/opt/venv/bin/python"
# Both: the image's own check (folders, disk, GPU), and a worker that answers. 13B from a slow disk takes minutes.
HEALTH = Health(
    f"{PYTHON} -I -S -B /opt/vldock/vldock/common/health.py && {PYTHON} {' '.join(INSIDE[1:])} status",
    interval=30,
    timeout=20,
    start_period=1800,
)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"^(\d+[smhd])+$")


@dataclass(frozen=True)
class SessionOptions:
    """Options of a session beside its container's mounts.

    `idle` is seconds until it stops, None for never.
    """

    name: str
    models: tuple[str, ...]
    idle: float | None
    restart: str
    read_only: bool
    maker: str
    owner: str | None = None


def container_name(name: str) -> str:
    """Return the container name of a session; raises UsageError for an invalid name."""
    if not NAME.match(name):
        raise UsageError(f"session {name!r}", expected="letters, digits, and _ . - after the first")
    return PREFIX + name


def parse_seconds(text: str) -> float:
    """Return the seconds of a duration: 90, 90s, 30m, 8h, 1h30m, 2d.

    Raises UsageError for anything else.
    """
    if text.isdecimal() and int(text):
        return float(text)
    total = sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text))
    if not DURATION.match(text) or not total:
        raise UsageError(f"duration {text!r}", expected="a number and a unit: 90s, 30m, 8h, 1h30m, 2d")
    return float(total)


def idle_seconds(idle: str | None, *, keep: bool, restart: str) -> float | None:
    """Return the idle seconds until a session stops itself, or None for never.

    Raises UsageError where an idle stop is requested and docker would start the container again.
    """
    if not RESTARTS.match(restart):
        raise UsageError(f"--restart {restart}", expected="no, on-failure, on-failure:N, always, unless-stopped")
    if idle is not None and keep:
        raise UsageError("--idle with --keep", expected="one of the two")
    if restart in RETURNS_ALWAYS:
        if idle is not None:
            raise UsageError(
                f"--idle {idle} with --restart {restart}: docker would start it again after its idle stop",
                hint="--restart on-failure, or leave out --idle",
            )
        return None
    return None if keep else IDLE_SECONDS if idle is None else parse_seconds(idle)


def container_spec(options: SessionOptions, base: Spec, *, reaps: bool) -> Spec:
    """Return the container spec of a session.

    `base` is the spec of `vldock run`; `reaps` says whether the image's PID 1 collects orphans.
    """
    models = [word for model in options.models for word in ("--model", model)]
    idle = [] if options.idle is None else ["--idle", f"{options.idle:g}"]
    marks = {NAME_LABEL: options.name, MODELS_LABEL: ",".join(options.models), MAKER_LABEL: options.maker}
    return replace(
        base,
        argv=(*INSIDE, "serve", *models, *idle),
        role=ROLE,
        name=container_name(options.name),
        read_only=options.read_only,
        tmpfs=("/tmp",) if options.read_only else (),
        init=not reaps,
        detached=True,
        restart=None if options.restart == "no" else options.restart,
        health=HEALTH,
        marks=marks | ({OWNER_LABEL: options.owner} if options.owner else {}),
    )


def reaps_orphans(image: Any) -> bool:
    """Whether an image's own PID 1 collects orphans.

    Ours does: it starts with tini. Another image gets docker's --init.
    """
    entrypoint: Sequence[str] = image.attrs.get("Config", {}).get("Entrypoint") or ()
    return bool(entrypoint) and entrypoint[0].rpartition("/")[2] in ("tini", "dumb-init", "docker-init")
