"""Sessions as the tests need them: what the engine says of a container, without an engine."""

from __future__ import annotations

from typing import Any

from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.find import Session

CREATED = "2026-01-02T03:04:05.123456789Z"


class Handle:
    """What is read of the SDK's container."""

    def __init__(self, attrs: dict[str, Any], labels: dict[str, str], name: str) -> None:
        self.attrs, self.labels, self.name, self.id = attrs, labels, name, "c" * 64


def a_session(name: str = "default", *, state: str = "running", **values: Any) -> Session:
    """Return a session whose container is in that state; `health`, `code`, `models`, `owner` and `outputs` as named."""
    health, outputs = values.get("health"), values.get("outputs", "/home/me/outputs")
    attrs = {
        "State": {
            "Status": state,
            "ExitCode": values.get("code", 0),
            **({"Health": {"Status": health}} if health else {}),
        },
        "Config": {"Image": "vldock:4.37"},
        "Created": CREATED,
        "Mounts": [{"Destination": "/workspace/outputs", "Source": outputs}] if outputs else [],
    }
    labels = {
        session_spec.NAME_LABEL: name,
        session_spec.MODELS_LABEL: values.get("models", "llava_v1.5_7b"),
        session_spec.MAKER_LABEL: "me",
        session_spec.OWNER_LABEL: values.get("owner", ""),
    }
    return Session.of(Handle(attrs, labels, session_spec.PREFIX + name))
