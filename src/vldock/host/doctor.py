"""`vldock doctor`: is this machine fit: engine, docker command, base, image, disk, GPU."""

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
from vldock.host.containers import gpus, lifecycle
from vldock.host.containers.spec import Spec
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout
from vldock.host.util.console import size_text

VERSION = ("python", "-m", "vldock.image", "version", "--json")
DOCTOR = ("python", "-m", "vldock.image", "doctor")


def check_host(image: str) -> list[Check]:
    """Return the findings on this machine; never raises for an unfit one."""
    status = docker_client.status()
    checks = [check_engine(status), check_cli(docker_cli.find_installed()), check_gpu(status)]
    if not status.answers:
        return checks
    with docker_client.connected() as client:
        return [*checks, check_disk(status), check_base(client), check_image(client, image)]


def check_engine(status: docker_client.EngineStatus) -> Check:
    """Does an engine answer?"""
    line = status.lines()[0].removeprefix("engine: ")
    return Check("engine", "ok", line) if status.answers else Check("engine", "fail", line, hint="vldock engine up")


def check_cli(found: Sequence[docker_cli.DockerCli]) -> Check:
    """Can a docker command build?"""
    cli = docker_cli.choose(found)
    if cli is not None:
        return Check("builder", "ok", str(cli))
    return Check("builder", "fail", "; ".join(map(str, found)) or "no docker command", hint="vldock engine up")


def check_gpu(status: docker_client.EngineStatus) -> Check:
    """Can a container be given a GPU? A machine without one is fit: it evaluates on the CPU."""
    reason = gpus.why_unavailable(status)
    if reason is None:
        return Check("gpu", "ok", "the engine can hand out NVIDIA GPUs")
    hint = "install nvidia-container-toolkit, then restart the engine" if "toolkit" in reason else None
    return Check("gpu", "warn", f"evaluations run on the CPU: {reason}", hint=hint)


def check_disk(status: docker_client.EngineStatus) -> Check:
    """Is there room to work in?"""
    folder = Path(status.data_root or "/")
    if not folder.is_dir():
        return Check("disk", "warn", f"{folder} is not on this machine")
    free = shutil.disk_usage(folder).free
    state: Literal["ok", "warn"] = "ok" if free > image_build.WARM_GB * 1e9 else "warn"
    return Check(
        "disk", state, f"{size_text(free)} free in {folder}", hint="docker system prune" if state == "warn" else None
    )


def check_base(client: Any) -> Check:
    """Is the base image there?"""
    try:
        recipe = base_image.BaseRecipe.load(checkout.root() / checkout.BASE_FILE)
    except VldockError as error:
        return Check("base", "fail", error.message, hint=error.hint)
    there = base_image.find(client, recipe)
    if there is None:
        return Check("base", "warn", f"{recipe.tag} is not here: the next build pulls or makes it", hint="vldock base")
    return Check("base", "ok", str(there).removeprefix("base: "))


def check_image(client: Any, image: str) -> Check:
    """Is the image there, and of which revision and lock?"""
    from docker.errors import ImageNotFound

    try:
        found = client.images.get(image)
    except ImageNotFound:
        return Check("image", "fail", f"{image} is not here", hint="vldock build")
    labels = read_labels(found)
    return Check("image", "ok", f"{image} {size_text(found.attrs['Size'])} {labels.get('revision', '')[:20]}".rstrip())


def read_labels(image: Any) -> dict[str, str]:
    """Return the version, revision and lock digest of an image's labels; only those that are there."""
    labels = (image.attrs.get("Config") or {}).get("Labels") or {}
    names = {
        "vldock": "org.opencontainers.image.version",
        "revision": "org.opencontainers.image.revision",
        "base": "org.opencontainers.image.base.name",
        "lock sha256": "vldock.lock.sha256",
    }
    return {name: labels[label] for name, label in names.items() if labels.get(label)}


def run_in_image(client: Any, image: str, *, gpus_asked: str, as_json: bool, user: str | None) -> lifecycle.Completed:
    """Run the image's own doctor and return what it said."""
    argv = (*DOCTOR, "--json") if as_json else DOCTOR
    return lifecycle.run_to_end(client, Spec(image=image, argv=argv, role="doctor", gpus=gpus_asked, user=user))


def read_image_facts(client: Any, image: str, *, user: str | None, run_id: str) -> dict[str, str]:
    """Return what an image is made of: its labels, and the versions it tells itself where it can."""
    known = read_labels(client.images.get(image))
    asked = Spec(image=image, argv=VERSION, role="doctor", run_id=run_id, user=user, network="none")
    said = lifecycle.run_to_end(client, asked)
    try:
        told = json.loads(said.stdout)
    except ValueError:
        return known
    return known | {name: str(value) for name, value in told.items() if isinstance(value, str | int | float)}
