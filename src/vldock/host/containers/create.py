"""Make a container of a Spec, and tell a user what an engine's refusal means."""

from __future__ import annotations

from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.spec import Spec


def create(client: Any, spec: Spec) -> Any:
    """Return the container, made and not yet started, as the SDK's object.

    Raises EnvironmentUnfit when the image is missing or the engine refuses.
    """
    from docker.errors import APIError, ImageNotFound

    try:
        return client.containers.create(**spec.sdk_arguments())
    except ImageNotFound as error:
        raise EnvironmentUnfit(f"there is no image {spec.image} here", hint="vldock build") from error
    except APIError as error:
        raise cannot_start(error) from error


def cannot_start(error: Any) -> EnvironmentUnfit:
    """Return what an engine's refusal means to a user."""
    text = " ".join(str(getattr(error, "explanation", None) or error).split())
    hint = "vldock doctor"
    if "could not select device driver" in text or "nvidia" in text.lower():
        hint = "install the NVIDIA container toolkit and restart the engine; or --gpus none to run on the CPU"
    elif "bind source path does not exist" in text:
        hint = "create that folder on this machine, or name another"
    return EnvironmentUnfit(f"the engine cannot start the container: {text}", hint=hint)
