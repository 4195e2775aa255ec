"""Promotion to a registry that is locked, stopped, slow or full, and promotions that are killed."""

from __future__ import annotations

import base64
import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import receipts, saved_image, wait_until
from support.promotion_fixture import CANDIDATE, FIXED
from support.registries import debian_registry, tls_registry
from support.registries.debian_registry import PASSWORD, USER, Registry, SlowProxy
from support.registries.tls_registry import HiddenTls

from vldock.host.cli.main import cli, invoke
from vldock.host.receipts import envelope

pytestmark = pytest.mark.engine
SIZES = (300_000,) * 6  # bytes: three seconds through the slow proxy
RATE = 2_000_000  # bytes a second
KILLS, SEED = 5, 20261122


@dataclass(frozen=True)
class PromotionInputs:
    """The folder of a saved image, its signed receipt, the public key and a log."""

    folder: Path

    def argv(self, host: str, name: str = "vldock", *more: str, log: str = "log") -> list[str]:
        """Return the words after vldock that promote the image to HOST/NAME."""
        folder = self.folder
        receipt = ["--receipt", f"{folder}/receipt.json", "--key", f"{folder}/keys/{envelope.PUBLIC_KEY}"]
        target = ["--to", f"{host}/{name}", "--log", f"{folder}/{log}/promotions.jsonl"]
        return ["promote", f"tar:{folder}/image.tar", *target, *receipt, "--confirm", *more]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> PromotionInputs:
    """The saved image of this module."""
    folder = tmp_path_factory.mktemp("inputs")
    private, _, _ = envelope.keygen(folder / "keys")
    receipts.sealed(folder / "receipt.json", saved_image.save(folder / "image.tar", sizes=SIZES).identity, key=private)
    return PromotionInputs(folder)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of this test alone."""
    with debian_registry.running(tmp_path) as made:
        yield made


def promote(*argv: str) -> int:
    """Run vldock in this process; return the exit code."""
    return invoke(cli, [*argv, "--attempts", "2"])


def stop_after(registry: Registry, line: SlowProxy, size: int) -> None:
    """Stop a registry once `size` bytes have passed, and no more."""
    with line.hold_at(size) as held:
        wait_until.until(held.exists)
        registry.stop()


def images(registry: Registry, name: str = "vldock") -> dict[str, str]:
    """Return the tags that name images."""
    return {tag: digest for tag, digest in registry.tags(name).items() if tag.startswith("4.37")}


def test_a_locked_registry_is_32_without_credentials_and_takes_dockers(
    inputs: PromotionInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "docker"
    config.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    with debian_registry.running(tmp_path, password=True) as registry:
        assert promote(*inputs.argv(registry.host)) == 32
        assert f"docker login {registry.host}" in capsys.readouterr().err

        for password, code in (("wrong", 32), (PASSWORD, 0)):
            secret = base64.b64encode(f"{USER}:{password}".encode()).decode()
            (config / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": secret}}}))
            assert promote(*inputs.argv(registry.host)) == code

        assert set(images(registry)) == {FIXED, CANDIDATE}
    assert PASSWORD not in "".join(capsys.readouterr())


def test_a_registry_whose_proxy_hides_tls_gets_no_byte_over_plain_http(
    inputs: PromotionInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = tls_registry.certificate(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with (
        debian_registry.running(tmp_path, password=True) as registry,
        tls_registry.listening() as listener,
        tls_registry.serving(HiddenTls(registry.port), pem) as port,
    ):
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        host = f"localhost:{port}"
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": secret}}}))

        assert promote(*inputs.argv(host, log="tls")) == 0

        assert set(images(registry)) == {FIXED, CANDIDATE}
        assert listener.received == []
    assert f"names itself http://{host}/v2/vldock/blobs/uploads/" in capsys.readouterr().err


def test_a_stopped_registry_is_31_and_the_next_run_does_it(
    inputs: PromotionInputs, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.stop()
    assert promote(*inputs.argv(registry.host)) == 31
    assert "gave up" in capsys.readouterr().err

    registry.start()
    assert promote(*inputs.argv(registry.host)) == 0
    assert set(images(registry)) == {FIXED, CANDIDATE}


def test_a_registry_stopped_in_the_middle_holds_no_tag_and_the_next_run_does_it(
    inputs: PromotionInputs, registry: Registry
) -> None:
    with debian_registry.slow(registry, rate=RATE) as line:
        stopper = threading.Thread(target=stop_after, args=(registry, line, 800_000))
        stopper.start()
        code = promote(*inputs.argv(f"127.0.0.1:{line.port}"))
        stopper.join()
        assert code == 31
    registry.start()
    assert images(registry) == {}
    sent = list((registry.root / "docker/registry/v2/blobs").rglob("data"))
    assert 0 < len(sent) < len(SIZES)

    assert promote(*inputs.argv(registry.host)) == 0
    assert set(images(registry)) == {FIXED, CANDIDATE}


def test_a_registry_that_comes_back_in_time_is_waited_for(inputs: PromotionInputs, registry: Registry) -> None:
    registry.stop()
    later = threading.Timer(1.0, registry.start)
    later.start()

    code = invoke(cli, [*inputs.argv(registry.host), "--attempts", "20"])

    later.join()
    assert code == 0


def test_a_slow_registry_only_takes_longer(inputs: PromotionInputs, registry: Registry) -> None:
    with debian_registry.slow(registry, rate=RATE, pause=0.3) as line:
        assert promote(*inputs.argv(f"127.0.0.1:{line.port}")) == 0

    assert set(images(registry)) == {FIXED, CANDIDATE}


@pytest.mark.skipif(not debian_registry.is_root(), reason="a small disk is mounted: needs root")
def test_a_registry_that_is_full_in_the_middle_holds_no_tag_until_it_has_room(
    inputs: PromotionInputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        debian_registry.small_disk(tmp_path / "disk", "1200k") as disk,
        debian_registry.running(tmp_path, root=disk / "blobs") as registry,
    ):
        assert promote(*inputs.argv(registry.host)) == 31
        assert "free its disk" in capsys.readouterr().err
        assert images(registry) == {}

        debian_registry.grow(disk, "16m")
        assert promote(*inputs.argv(registry.host)) == 0
        assert set(images(registry)) == {FIXED, CANDIDATE}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, SlowProxy]]:
    """A registry and a slow proxy to it."""
    with (
        debian_registry.running(tmp_path_factory.mktemp("killed")) as made,
        debian_registry.slow(made, rate=RATE) as slow,
    ):
        yield made, slow


def start(inputs: PromotionInputs, slow: SlowProxy, name: str) -> subprocess.Popen[bytes]:
    """Start a promotion in a separate process."""
    argv = [str(Path(sys.executable).parent / "vldock"), *inputs.argv(f"127.0.0.1:{slow.port}", name, log=name)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def undisturbed(inputs: PromotionInputs, line: tuple[Registry, SlowProxy]) -> tuple[int, dict[str, str]]:
    """The bytes an undisturbed promotion takes, and the tags it leaves."""
    registry, slow = line
    before = slow.passed
    process = start(inputs, slow, "undisturbed")
    text, _ = process.communicate()
    assert process.returncode == 0, text.decode()
    return slow.passed - before, images(registry, "undisturbed")


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_a_random_moment_the_next_run_leaves_exactly_the_same(
    inputs: PromotionInputs, line: tuple[Registry, SlowProxy], undisturbed: tuple[int, dict[str, str]], number: int
) -> None:
    registry, slow = line
    total, expected = undisturbed
    name = f"killed-{number}"
    # Each in its own fifth of the bytes, so that both early and late are covered. The proxy holds the bytes there.
    moment = slow.passed + total * (number + random.Random(SEED + number).random()) / KILLS
    with slow.hold_at(moment) as held:
        process = start(inputs, slow, name)
        wait_until.until(lambda: held.exists() or process.poll() is not None)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL

    for tag, digest in images(registry, name).items():
        checked = ["receipt", "check", f"{inputs.folder}/receipt.json", "--registry", f"{registry.host}/{name}:{tag}"]
        assert invoke(cli, [*checked, "--key", f"{inputs.folder}/keys/{envelope.PUBLIC_KEY}"]) == 0
        assert digest == expected[tag]
    again = start(inputs, slow, name)
    text, _ = again.communicate()

    assert again.returncode == 0, text.decode()
    assert images(registry, name) == expected
    assert set(registry.tags(name)) == set(registry.tags("undisturbed"))
