"""The host's findings: engine, docker command, GPU, disk, image."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from vldock.host import doctor
from vldock.host.containers import gpus
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine.client import EngineStatus

SILENT = EngineStatus("unix:///x", False, problem="no such file")
LABELS = {"org.opencontainers.image.revision": "abc", "vldock.lock.sha256": "f" * 64, "maintainer": "nobody"}
IMAGE = SimpleNamespace(attrs={"Config": {"Labels": LABELS}, "Size": 2e9})


def engine(*images: str) -> Any:
    """Return an engine that has these images."""

    def get(name: str) -> Any:
        if name not in images:
            raise ImageNotFound(name)
        return IMAGE

    return SimpleNamespace(images=SimpleNamespace(get=get))


def test_without_an_engine_only_this_machine_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_client, "status", lambda: SILENT)

    checks = {check.name: check for check in doctor.check_host("vldock:4.37")}

    assert list(checks) == ["engine", "builder", "gpu"]
    assert (checks["engine"].status, checks["engine"].hint) == ("fail", "vldock engine up")


def test_a_machine_without_a_gpu_is_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "why_unavailable", lambda status: "no NVIDIA driver")

    check = doctor.check_gpu(SILENT)

    assert (check.status, check.seen) == ("warn", "evaluations run on the CPU: no NVIDIA driver")


@pytest.mark.parametrize(("free", "status"), [(1e15, "ok"), (1e6, "warn")])
def test_little_free_disk_is_a_warning(
    free: float, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))

    assert doctor.check_disk(EngineStatus("unix:///x", True, data_root=str(tmp_path))).status == status


def test_a_missing_image_names_the_command_that_builds_it() -> None:
    assert doctor.check_image(engine(), "vldock:4.37").hint == "vldock build"
    assert doctor.check_image(engine("vldock:4.37"), "vldock:4.37").seen == "vldock:4.37 2.00 GB abc"


def test_only_known_labels_are_read() -> None:
    assert doctor.read_labels(IMAGE) == {"revision": "abc", "lock sha256": "f" * 64}


@pytest.mark.parametrize(
    ("stdout", "more"), [(json.dumps({"torch": "2.1.2", "cuda": None}), {"torch": "2.1.2"}), ("Traceback", {})]
)
def test_an_image_that_cannot_tell_its_versions_still_has_its_labels(
    stdout: str, more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.lifecycle, "run_to_end", lambda client, spec: SimpleNamespace(stdout=stdout))

    facts = doctor.read_image_facts(engine("i"), "i", user=None, run_id="r")

    assert facts == {"revision": "abc", "lock sha256": "f" * 64, **more}
