"""Promotion from a real engine to Debian's docker-registry, checked by skopeo and docker pull."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import receipts, saved_image
from support.promotion_fixture import CANDIDATE, FIXED, STABLE
from support.registries import debian_registry
from support.registries.debian_registry import Registry
from support.saved_image import LABELS, LOCK, SavedImage

from vldock.host.cli.main import cli, invoke
from vldock.host.receipts import envelope
from vldock.host.receipts.statement import GroupResult
from vldock.host.receipts.write import Verification, write_receipt

pytestmark = pytest.mark.engine
Vldock = Callable[..., int]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for this module."""
    with debian_registry.running(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key pair: private, public."""
    return envelope.keygen(tmp_path_factory.mktemp("keys"))[:2]


@pytest.fixture(scope="module")
def image(docker_client: Any, session_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tiny image in the engine, under a name of this session."""
    name = f"vldock-promote:{session_id}"
    with loaded_image(docker_client, saved_image.save(tmp_path_factory.mktemp("image") / "image.tar"), name) as made:
        yield made


@pytest.fixture
def vldock(tmp_path: Path, keys: tuple[Path, Path]) -> Vldock:
    """Run a vldock command with this test's key and promotion log; return the exit code."""

    def run(*words: str) -> int:
        log = ["--log", str(tmp_path / "log" / "promotions.jsonl"), "--attempts", "2"] if words[0] == "promote" else []
        return invoke(cli, [*words, *log, "--key", str(keys[1])])

    return run


@contextmanager
def loaded_image(client: Any, saved: SavedImage, name: str) -> Iterator[str]:
    """Load a saved image into the engine under a name; removed at the end.

    The config digest must be the engine's image id.
    """
    [loaded] = client.images.load(saved.path.read_bytes())
    assert loaded.id == saved.identity.config
    loaded.tag(name)
    try:
        yield name
    finally:
        client.images.remove(name, force=True)


def write_signed_receipt(client: Any, image: str, path: Path, key: Path, *groups: GroupResult) -> str:
    """Write a signed receipt of an engine's image, as `vldock verify` does."""
    verification = Verification(image, groups or receipts.groups(gpu="skipped"))
    write_receipt(path, verification, client=client, key=key)
    return str(path)


def test_the_receipt_of_an_engines_image_names_what_it_is_made_of(
    docker_client: Any, image: str, tmp_path: Path, keys: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_signed_receipt(docker_client, image, tmp_path / "receipt.json", keys[0])

    assert invoke(cli, ["receipt", "show", path, "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)["receipt"]
    attrs = docker_client.images.get(image).attrs
    assert shown["image"] == {"config": attrs["Id"], "layers": attrs["RootFS"]["Layers"]}
    assert shown["inputs"]["lock"] == LOCK
    assert shown["engine"].startswith(f"docker {docker_client.version()['Version']}")
    assert [(group["name"], group["status"]) for group in shown["groups"]][-1] == ("gpu", "skipped")


def test_from_the_engine_to_a_registry_and_back_it_is_the_same_image(
    docker_client: Any, image: str, registry: Registry, vldock: Vldock, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    receipt = write_signed_receipt(docker_client, image, tmp_path / "receipt.json", keys[0])
    repository = f"{registry.host}/there-and-back"
    wanted = docker_client.images.get(image).id

    assert vldock("promote", image, "--to", repository, "--receipt", receipt, "--confirm") == 0
    assert vldock("promote", image, "--to", repository, "--receipt", receipt, "--confirm") == 0

    tags = registry.tags("there-and-back")
    assert tags[CANDIDATE] == tags[FIXED]
    pulled = docker_client.images.pull(f"{repository}@{tags[CANDIDATE]}")
    try:
        assert pulled.id == wanted
        assert vldock("receipt", "check", receipt, "--image", f"{repository}@{tags[CANDIDATE]}") == 0
        assert vldock("receipt", "check", receipt, "--registry", f"{repository}:{CANDIDATE}") == 0
    finally:
        docker_client.images.remove(f"{repository}@{tags[CANDIDATE]}", force=True)


def test_skopeo_sees_the_same_digest_and_labels(
    docker_client: Any, image: str, registry: Registry, vldock: Vldock, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    debian_registry.require(("skopeo", "skopeo"))
    receipt = write_signed_receipt(docker_client, image, tmp_path / "receipt.json", keys[0])
    repository = f"{registry.host}/skopeo"
    assert vldock("promote", image, "--to", repository, "--receipt", receipt, "--confirm") == 0

    argv = ["skopeo", "inspect", "--tls-verify=false", f"docker://{repository}:{CANDIDATE}"]
    seen = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)

    assert seen["Digest"] == registry.digest("skopeo", CANDIDATE)
    assert seen["Labels"] == LABELS


def test_one_flipped_byte_in_a_saved_tar_is_29(
    docker_client: Any, image: str, vldock: Vldock, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    receipt, tar = (
        write_signed_receipt(docker_client, image, tmp_path / "receipt.json", keys[0]),
        tmp_path / "saved.tar",
    )
    saved = bytearray(b"".join(docker_client.images.get(image).save()))
    tar.write_bytes(saved)
    assert vldock("receipt", "check", receipt, "--tar", str(tar)) == 0

    saved[saved.index(saved_image.noise(101, 3000)) + 1234] ^= 1
    tar.write_bytes(saved)

    assert vldock("receipt", "check", receipt, "--tar", str(tar)) == 29


def test_a_tag_changed_underneath_is_21(
    docker_client: Any,
    image: str,
    registry: Registry,
    vldock: Vldock,
    tmp_path: Path,
    keys: tuple[Path, Path],
    session_id: str,
) -> None:
    receipt = write_signed_receipt(docker_client, image, tmp_path / "receipt.json", keys[0])
    repository = f"{registry.host}/underneath"
    assert vldock("promote", image, "--to", repository, "--receipt", receipt, "--confirm") == 0

    with loaded_image(docker_client, saved_image.save(tmp_path / "x.tar", seed=7), f"{repository}:{CANDIDATE}") as name:
        assert '"error"' not in docker_client.images.push(name)

    assert vldock("receipt", "check", receipt, "--registry", f"{repository}:{CANDIDATE}") == 21
    assert vldock("receipt", "check", receipt, "--registry", f"{repository}:{FIXED}") == 0


def test_channels_roll_forward_and_back_by_one_command_each(
    docker_client: Any, image: str, registry: Registry, vldock: Vldock, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    gpu = write_signed_receipt(docker_client, image, tmp_path / "gpu.json", keys[0], *receipts.groups(gpu="passed"))
    repository = f"{registry.host}/channels"
    with loaded_image(docker_client, saved_image.save(tmp_path / "x.tar", seed=8), "vldock-promote:next") as name:
        after = write_signed_receipt(
            docker_client, name, tmp_path / "next.json", keys[0], *receipts.groups(gpu="passed")
        )
        assert vldock("promote", image, "--to", repository, "--receipt", gpu, "--confirm") == 0
        there = [f"{repository}:{CANDIDATE}", "--to", repository, "--channel", "stable", "--confirm"]
        assert vldock("promote", *there) == 0
        first = registry.tags("channels")[STABLE]
        assert vldock("promote", name, "--to", repository, "--receipt", after, "--confirm", "--move") == 0
        assert vldock("promote", *there) == 30
        assert vldock("promote", *there, "--move") == 0
        assert registry.tags("channels")[STABLE] != first

    assert vldock("promote", "--rollback", "--to", repository, "--channel", "stable", "--confirm") == 0

    assert registry.tags("channels")[STABLE] == first


def test_a_copy_between_two_registries_keeps_the_digest(
    docker_client: Any, image: str, registry: Registry, vldock: Vldock, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    receipt = write_signed_receipt(docker_client, image, tmp_path / "receipt.json", keys[0])
    (tmp_path / "second").mkdir()
    assert vldock("promote", image, "--to", f"{registry.host}/one", "--receipt", receipt, "--confirm") == 0

    with debian_registry.running(tmp_path / "second") as second:
        source, target = f"{registry.host}/one:{CANDIDATE}", f"{second.host}/two"
        assert vldock("promote", source, "--to", target, "--confirm") == 0
        assert second.digest("two", CANDIDATE) == registry.digest("one", CANDIDATE)


def test_a_receipt_signed_by_another_key_promotes_nothing(
    docker_client: Any, image: str, registry: Registry, vldock: Vldock, tmp_path: Path
) -> None:
    stranger = envelope.keygen(tmp_path / "stranger")[0]
    receipt = write_signed_receipt(docker_client, image, tmp_path / "receipt.json", stranger)

    assert vldock("promote", image, "--to", f"{registry.host}/stranger", "--receipt", receipt, "--confirm") == 23
    assert registry.tags("stranger") == {}


def test_an_image_the_engine_lacks_is_3(registry: Registry, vldock: Vldock) -> None:
    assert vldock("promote", "vldock-promote:absent", "--to", f"{registry.host}/absent") == 3
