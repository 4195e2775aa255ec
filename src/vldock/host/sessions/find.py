"""Sessions of an engine, running or not, found by their labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vldock.common import cache_env
from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers import cleanup
from vldock.host.containers.spec import RUN_LABEL
from vldock.host.sessions import spec as session_spec


@dataclass(frozen=True)
class Session:
    """A session's container as the engine knows it.

    `state` and `health` are docker's values; `handle` is the SDK's.
    """

    name: str
    container: str
    image: str
    models: tuple[str, ...]
    maker: str
    owner: str | None
    run_id: str | None
    state: str
    health: str | None
    exit_code: int
    created: datetime
    outputs: str | None
    handle: Any

    @classmethod
    def of(cls, handle: Any) -> Session:
        """Return the session of an SDK container."""
        attrs, labels = handle.attrs, handle.labels
        state = attrs["State"]
        outputs = [m.get("Source") for m in attrs.get("Mounts", ()) if m.get("Destination") == cache_env.OUTPUTS]
        return cls(
            name=labels.get(session_spec.NAME_LABEL, handle.name),
            container=str(handle.name),
            image=str(attrs["Config"]["Image"]),
            models=tuple(filter(None, labels.get(session_spec.MODELS_LABEL, "").split(","))),
            maker=labels.get(session_spec.MAKER_LABEL, "unknown"),
            owner=labels.get(session_spec.OWNER_LABEL),
            run_id=labels.get(RUN_LABEL),
            state=str(state["Status"]),
            health=(state.get("Health") or {}).get("Status"),
            exit_code=int(state.get("ExitCode", 0)),
            created=parse_time(attrs["Created"]),
            outputs=outputs[0] if outputs else None,
            handle=handle,
        )

    @property
    def runs(self) -> bool:
        """Whether commands can be run in it."""
        return self.state == "running"

    def describe_state(self) -> str:
        """Return its container's state for display."""
        if self.runs:
            return "running, unhealthy" if self.health == "unhealthy" else "running"
        return f"{self.state} (exit {self.exit_code})" if self.state in ("exited", "dead") else self.state


def parse_time(text: str) -> datetime:
    """Return docker's time as UTC; Python does not parse its nine decimals."""
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)


def find_all(client: Any) -> list[Session]:
    """Return all sessions, by name."""
    return sorted((Session.of(handle) for handle in cleanup.find(client, role=session_spec.ROLE)), key=lambda s: s.name)


def find_named(client: Any, name: str) -> Session | None:
    """Return the session of that name, or None."""
    wanted = session_spec.container_name(name)
    return next((session for session in find_all(client) if session.container == wanted), None)


def require(client: Any, name: str) -> Session:
    """Return the session of that name; raises EnvironmentUnfit, naming the others, for none."""
    session = find_named(client, name)
    if session is not None:
        return session
    others = ", ".join(other.name for other in find_all(client))
    raise EnvironmentUnfit(
        f"there is no session {name} here" + (f"; there are: {others}" if others else ""),
        hint=start_command(name),
    )


def require_running(client: Any, name: str) -> Session:
    """Return the running session of that name; raises EnvironmentUnfit for none."""
    session = require(client, name)
    if not session.runs:
        raise EnvironmentUnfit(
            f"session {name} does not run: its container is {session.describe_state()}",
            hint=f"vldock session logs {name} --tail 20; vldock session stop {name}; "
            f"{start_command(name, session.models)}",
        )
    return session


def start_command(name: str, models: tuple[str, ...] = ()) -> str:
    """Return the command that starts a session."""
    given = "" if name == session_spec.DEFAULT else f" {name}"
    return f"vldock session start{given}" + "".join(f" --model {model}" for model in models or ("llava_v1.5_7b",))
