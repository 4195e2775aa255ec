"""Findings on this machine: engine, docker command, base, image, disk, GPU.

Called by cli.doctor, and by cli.version and cli.matrix for the facts of an image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from vldock.common.check import Check
from vldock.common.errors import VldockError
from vldock.host.build import base_image
from vldock.host.build import image as image_build
from vldock.host.containers import gpus as gpu_devices
from vldock.host.containers import lifecycle
from vldock.host.containers.spec import Spec
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import size_text

VERSION = ("python", "-m", "vldock.image", "version", "--json")
DOCTOR = ("python", "-m", "vldock.image", "doctor")


def check_host(image: str) -> list[Check]:
    """Return the findings on this machine; an unfit one raises nothing."""
    status = docker_client.status()
    checks = [check_engine(status), check_cli(docker_cli.find_installed()), check_gpu(status)]
    if not status.answers:
        return checks
    with docker_client.open_client() as client:
        return [*checks, check_disk(status), check_base(client), check_image(client, image)]


def check_engine(status: docker_client.EngineStatus) -> Check:
    """Check that an engine answers."""
    line = status.lines()[0].removeprefix("engine: ")
    return Check("engine", "ok", line) if status.answers else Check("engine", "fail", line, hint="vldock engine up")


def check_cli(installed: Sequence[docker_cli.DockerCli]) -> Check:
    """Check that a docker command can build."""
    cli = docker_cli.choose(installed)
    if cli is not None:
        return Check("builder", "ok", str(cli))
    return Check("builder", "fail", "; ".join(map(str, installed)) or "no docker command", hint="vldock engine up")


def check_gpu(status: docker_client.EngineStatus) -> Check:
    """Check that the engine can give a container a GPU.

    A machine without one is fit and evaluates on the CPU.
    """
    reason = gpu_devices.why_unavailable(status)
    if reason is None:
        return Check("gpu", "ok", "the engine can hand out NVIDIA GPUs")
    hint = "install nvidia-container-toolkit, then restart the engine" if "toolkit" in reason else None
    return Check("gpu", "warn", f"evaluations run on the CPU: {reason}", hint=hint)


def check_disk(status: docker_client.EngineStatus) -> Check:
    """Check the free disk of the engine."""
    folder = Path(status.data_root or "/")
    if not folder.is_dir():
        return Check("disk", "warn", f"{folder} is not on this machine")
    free = shutil.disk_usage(folder).free
    state: Literal["ok", "warn"] = "ok" if free > image_build.WARM_GB * 1e9 else "warn"
    return Check(
        "disk", state, f"{size_text(free)} free in {folder}", hint="docker system prune" if state == "warn" else None
    )


def check_base(client: Any) -> Check:
    """Check that the base image exists."""
    try:
        recipe = base_image.BaseRecipe.load(checkout.root() / checkout.BASE_FILE)
    except VldockError as error:
        return Check("base", "fail", error.message, hint=error.hint)
    present = base_image.find(client, recipe)
    if present is None:
        return Check("base", "warn", f"{recipe.tag} is not here: the next build pulls or makes it", hint="vldock base")
    return Check("base", "ok", str(present).removeprefix("base: "))


def check_image(client: Any, image: str) -> Check:
    """Check that the image exists, and report its size and revision."""
    from docker.errors import ImageNotFound

    try:
        found = client.images.get(image)
    except ImageNotFound:
        return Check("image", "fail", f"{image} is not here", hint="vldock build")
    labels = read_labels(found)
    return Check("image", "ok", f"{image} {size_text(found.attrs['Size'])} {labels.get('revision', '')[:20]}".rstrip())


def read_labels(image: Any) -> dict[str, str]:
    """Return the version, revision, base and lock digest of an image's labels.

    Only labels it has.
    """
    labels = (image.attrs.get("Config") or {}).get("Labels") or {}
    names = {
        "vldock": "org.opencontainers.image.version",
        "revision": "org.opencontainers.image.revision",
        "base": "org.opencontainers.image.base.name",
        "lock sha256": "vldock.lock.sha256",
    }
    return {name: labels[label] for name, label in names.items() if labels.get(label)}


def run_in_image(client: Any, image: str, *, gpus: str, as_json: bool, user: str | None) -> lifecycle.Completed:
    """Run the image's own doctor and return its output and exit code."""
    argv = (*DOCTOR, "--json") if as_json else DOCTOR
    return lifecycle.run_to_end(client, Spec(image=image, argv=argv, role="doctor", gpus=gpus, user=user))


def read_image_facts(client: Any, image: str, *, user: str | None, run_id: str) -> dict[str, str]:
    """Return the labels of an image, and its versions.

    Versions are those of its own `version --json`, where it can run.
    """
    labels = read_labels(client.images.get(image))
    spec = Spec(image=image, argv=VERSION, role="doctor", run_id=run_id, user=user, network="none")
    try:
        versions = json.loads(lifecycle.run_to_end(client, spec).stdout)
    except ValueError:
        return labels
    return labels | {name: str(value) for name, value in versions.items() if isinstance(value, str | int | float)}
