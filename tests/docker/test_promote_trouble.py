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
from support import debian_registry, receipts, saved_image, tls_registry, wait_until
from support.debian_registry import PASSWORD, USER, Registry, SlowLine
from support.promotion_fixture import CANDIDATE, FIXED
from support.tls_registry import HiddenTls

from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.receipts import envelope

pytestmark = pytest.mark.engine
SIZES = (300_000,) * 6  # bytes: three seconds through the slow line
RATE = 2_000_000  # bytes a second
KILLS, SEED = 5, 20261122


@dataclass(frozen=True)
class Kit:
    """A saved image, its signed receipt, the public key, and a log."""

    folder: Path

    def argv(self, host: str, name: str = "vldock", *more: str, log: str = "log") -> list[str]:
        """Return the words after vldock that promote the image to HOST/NAME."""
        folder = self.folder
        given = ["--receipt", f"{folder}/receipt.json", "--key", f"{folder}/keys/{envelope.PUBLIC_KEY}"]
        place = ["--to", f"{host}/{name}", "--log", f"{folder}/{log}/promotions.jsonl"]
        return ["promote", f"tar:{folder}/image.tar", *place, *given, "--confirm", *more]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """One image for all."""
    folder = tmp_path_factory.mktemp("kit")
    private, _, _ = envelope.keygen(folder / "keys")
    receipts.sealed(folder / "receipt.json", saved_image.save(folder / "image.tar", sizes=SIZES).identity, key=private)
    return Kit(folder)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of one's own."""
    with debian_registry.running(tmp_path) as made:
        yield made


def promote(*argv: str) -> int:
    """Run vldock here; returns the exit code."""
    return invoke(cli.cli, [*argv, "--attempts", "2"])


def stop_after(registry: Registry, line: SlowLine, size: int) -> None:
    """Stop a registry when so many bytes have passed, and no more."""
    with line.held_at(size) as held:
        wait_until.until(held.exists)
        registry.stop()


def images(registry: Registry, name: str = "vldock") -> dict[str, str]:
    """Return the tags that name images."""
    return {tag: digest for tag, digest in registry.tags(name).items() if tag.startswith("4.37")}


def test_a_locked_registry_is_32_without_credentials_and_takes_dockers(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "docker"
    config.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    with debian_registry.running(tmp_path, password=True) as registry:
        assert promote(*kit.argv(registry.host)) == 32
        assert f"docker login {registry.host}" in capsys.readouterr().err

        for password, code in (("wrong", 32), (PASSWORD, 0)):
            secret = base64.b64encode(f"{USER}:{password}".encode()).decode()
            (config / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": secret}}}))
            assert promote(*kit.argv(registry.host)) == code

        assert set(images(registry)) == {FIXED, CANDIDATE}
    assert PASSWORD not in "".join(capsys.readouterr())


def test_a_registry_whose_proxy_hides_tls_gets_no_byte_over_plain_http(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = tls_registry.certificate(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with (
        debian_registry.running(tmp_path, password=True) as registry,
        tls_registry.listening() as ear,
        tls_registry.serving(HiddenTls(registry.port), pem) as port,
    ):
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        host = f"localhost:{port}"
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": secret}}}))

        assert promote(*kit.argv(host, log="tls")) == 0

        assert set(images(registry)) == {FIXED, CANDIDATE}
        assert ear.heard == []
    assert f"names itself http://{host}/v2/vldock/blobs/uploads/" in capsys.readouterr().err


def test_a_stopped_registry_is_31_and_the_next_run_does_it(
    kit: Kit, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.stop()
    assert promote(*kit.argv(registry.host)) == 31
    assert "gave up" in capsys.readouterr().err

    registry.start()
    assert promote(*kit.argv(registry.host)) == 0
    assert set(images(registry)) == {FIXED, CANDIDATE}


def test_a_registry_stopped_in_the_middle_holds_no_tag_and_the_next_run_does_it(kit: Kit, registry: Registry) -> None:
    with debian_registry.slow(registry, rate=RATE) as line:
        stopper = threading.Thread(target=stop_after, args=(registry, line, 800_000))
        stopper.start()
        code = promote(*kit.argv(f"127.0.0.1:{line.port}"))
        stopper.join()
        assert code == 31
    registry.start()
    assert images(registry) == {}
    sent = list((registry.root / "docker/registry/v2/blobs").rglob("data"))
    assert 0 < len(sent) < len(SIZES)

    assert promote(*kit.argv(registry.host)) == 0
    assert set(images(registry)) == {FIXED, CANDIDATE}


def test_a_registry_that_comes_back_in_time_is_waited_for(kit: Kit, registry: Registry) -> None:
    registry.stop()
    later = threading.Timer(1.0, registry.start)
    later.start()

    code = invoke(cli.cli, [*kit.argv(registry.host), "--attempts", "20"])

    later.join()
    assert code == 0


def test_a_slow_registry_only_takes_longer(kit: Kit, registry: Registry) -> None:
    with debian_registry.slow(registry, rate=RATE, pause=0.3) as line:
        assert promote(*kit.argv(f"127.0.0.1:{line.port}")) == 0

    assert set(images(registry)) == {FIXED, CANDIDATE}


@pytest.mark.skipif(not debian_registry.is_root(), reason="a small disk is mounted: needs root")
def test_a_registry_that_is_full_in_the_middle_holds_no_tag_until_it_has_room(
    kit: Kit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        debian_registry.small_disk(tmp_path / "disk", "1200k") as disk,
        debian_registry.running(tmp_path, root=disk / "blobs") as registry,
    ):
        assert promote(*kit.argv(registry.host)) == 31
        assert "free its disk" in capsys.readouterr().err
        assert images(registry) == {}

        debian_registry.grow(disk, "16m")
        assert promote(*kit.argv(registry.host)) == 0
        assert set(images(registry)) == {FIXED, CANDIDATE}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, SlowLine]]:
    """A registry and a slow line to it."""
    with (
        debian_registry.running(tmp_path_factory.mktemp("killed")) as made,
        debian_registry.slow(made, rate=RATE) as slow,
    ):
        yield made, slow


def start(kit: Kit, slow: SlowLine, name: str) -> subprocess.Popen[bytes]:
    """Start a promotion as a process of its own."""
    argv = [str(Path(sys.executable).parent / "vldock"), *kit.argv(f"127.0.0.1:{slow.port}", name, log=name)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def unharmed(kit: Kit, line: tuple[Registry, SlowLine]) -> tuple[int, dict[str, str]]:
    """How many bytes a promotion takes that nobody kills, and the tags it leaves."""
    registry, slow = line
    before = slow.passed
    process = start(kit, slow, "unharmed")
    text, _ = process.communicate()
    assert process.returncode == 0, text.decode()
    return slow.passed - before, images(registry, "unharmed")


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_a_random_moment_the_next_run_leaves_exactly_the_same(
    kit: Kit, line: tuple[Registry, SlowLine], unharmed: tuple[int, dict[str, str]], number: int
) -> None:
    registry, slow = line
    total, expected = unharmed
    name = f"killed-{number}"
    # Each in its own fifth of the bytes, so that early and late are both met. The line holds there.
    moment = slow.passed + total * (number + random.Random(SEED + number).random()) / KILLS
    with slow.held_at(moment) as held:
        process = start(kit, slow, name)
        wait_until.until(lambda: held.exists() or process.poll() is not None)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL

    for tag, digest in images(registry, name).items():
        checked = ["receipt", "check", f"{kit.folder}/receipt.json", "--registry", f"{registry.host}/{name}:{tag}"]
        assert invoke(cli.cli, [*checked, "--key", f"{kit.folder}/keys/{envelope.PUBLIC_KEY}"]) == 0
        assert digest == expected[tag]
    again = start(kit, slow, name)
    text, _ = again.communicate()

    assert again.returncode == 0, text.decode()
    assert images(registry, name) == expected
    assert set(registry.tags(name)) == set(registry.tags("unharmed"))
