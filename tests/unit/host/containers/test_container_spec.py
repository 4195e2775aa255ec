"""A container's value: SDK arguments and `docker run` command agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.host.containers import gpus
from vldock.host.containers.spec import Mount, Spec, gpus_option, workspace_mounts
from vldock.host.docker_engine.client import EngineStatus

QUIET = EngineStatus("unix:///x", True)


def test_a_careful_mount_goes_where_the_image_looks(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / ".env").write_text("HUGGING_FACE_HUB_TOKEN=x\n")

    mounts = workspace_mounts(
        outputs=tmp_path / "out", data=tmp_path / "data", cache=tmp_path / "cache", env_file=tmp_path / ".env"
    )

    assert [mount.option().removeprefix(f"{tmp_path}/") for mount in mounts] == [
        "out:/workspace/outputs",
        "cache:/workspace/.cache",
        "data:/workspace/LMUData",
        ".env:/workspace/.env:ro",
    ]
    assert (tmp_path / "out").is_dir()


def test_an_env_file_that_docker_made_a_folder_is_refused_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()

    with pytest.raises(UsageError, match="it is a folder") as caught:
        workspace_mounts(env_file=tmp_path / ".env")

    assert "rmdir" in (caught.value.hint or "")


def test_a_data_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        workspace_mounts(data=tmp_path / "none")


def test_the_printed_command_says_what_the_sdk_is_told() -> None:
    spec = Spec(
        "vldock:4.37",
        ("python", "x.py"),
        run_id="r1",
        env={"A": "1"},
        mounts=(Mount(Path("/h"), "/c"),),
        user="1000:1000",
        gpus="0,1",
        network="none",
    )

    words, told = " ".join(spec.docker_argv()), spec.sdk_arguments()

    for part in ("--user 1000:1000", "--network none", "-v /h:/c", "-e A=1", "--label vldock.run=r1"):
        assert part in words
    assert words.endswith("vldock:4.37 python x.py")
    assert told["device_requests"][0]["DeviceIDs"] == ["0", "1"]
    assert (told["network"], told["user"], told["labels"]["vldock.role"]) == ("none", "1000:1000", "run")


def test_without_gpus_none_are_asked_for() -> None:
    assert "device_requests" not in Spec("i").sdk_arguments()
    assert "--gpus" not in Spec("i").docker_argv()


@pytest.mark.parametrize(("gpus_asked", "option"), [("all", "all"), ("1", "device=1"), ("0,1", '"device=0,1"')])
def test_gpus_are_written_as_docker_wants_them(gpus_asked: str, option: str) -> None:
    assert gpus_option(gpus_asked) == option


def test_no_driver_means_the_cpu_and_says_so(tmp_path: Path) -> None:
    assert gpus.why_unavailable(QUIET, driver=tmp_path / "none") == "this machine has no NVIDIA driver"


def test_a_driver_without_the_toolkit_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "version").touch()

    assert "toolkit" in (gpus.why_unavailable(QUIET, driver=tmp_path / "version", which=lambda name: None) or "")


@pytest.mark.parametrize("asked", ["all", "0", "0,1", "GPU-6ab2f0fe-1c2d", "MIG-6ab2f0fe-1c2d"])
def test_gpus_that_are_named_are_asked_for_as_named(asked: str) -> None:
    assert gpus.resolve(asked, QUIET)[0] == asked


def test_gpus_that_name_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="--gpus some"):
        gpus.resolve("some", QUIET)


def test_a_shared_store_is_mounted_read_only_and_outputs_are_not(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    places = {name: tmp_path / name for name in ("outputs", "data", "cache")}

    mounts = workspace_mounts(**places, read_only_inputs=True)

    assert {mount.source.name: mount.read_only for mount in mounts} == {"outputs": False, "cache": True, "data": True}
