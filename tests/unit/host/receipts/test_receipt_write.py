"""The receipt of a finished verification, written for an image of an engine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import receipts

from vldock.common.errors import UsageError
from vldock.host.receipts import envelope, image_facts
from vldock.host.receipts.write import Verification, write_receipt

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LOCK = "a" * 64


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An engine with the tests' image, whose build.json names its lock."""
    facts = {"base": "debian@sha256:" + "0" * 64, "lock_sha256": LOCK}
    monkeypatch.setattr(image_facts, "read_build_facts", lambda *_: facts)
    attrs = {"Config": {"Labels": {}}, "RootFS": {"Layers": list(receipts.IMAGE.layers)}}
    image = SimpleNamespace(id=receipts.IMAGE.config, attrs=attrs)
    return SimpleNamespace(images=SimpleNamespace(get=lambda name: image), info=lambda: {"ServerVersion": "27"})


def verification(**changes: Any) -> Verification:
    values = {"image": receipts.IMAGE.config, "groups": receipts.groups(), "inputs": receipts.suite(), **changes}
    return Verification(**values)


def test_the_file_holds_what_was_verified(client: Any, tmp_path: Path) -> None:
    sealed = write_receipt(tmp_path / "r.json", verification(name="vldock:4.37"), client=client, now=NOW)

    stated = envelope.load(tmp_path / "r.json").receipt
    assert stated == sealed.receipt
    assert (stated.name, stated.image, stated.groups) == ("vldock:4.37", receipts.IMAGE, receipts.groups())
    assert (stated.time, stated.signing, stated.sbom) == ("2026-01-02T03:04:05+00:00", "unsigned", None)


def test_the_lock_is_the_images_own(client: Any, tmp_path: Path) -> None:
    sealed = write_receipt(tmp_path / "r.json", verification(), client=client, now=NOW)

    assert (sealed.receipt.inputs.lock, sealed.receipt.inputs.tests) == (LOCK, receipts.suite().tests)


def test_a_key_that_is_none_writes_nothing(client: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_receipt(tmp_path / "r.json", verification(), client=client, key=tmp_path / "absent.key")

    assert not (tmp_path / "r.json").exists()


def test_a_group_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="static"):
        verification(groups=(receipts.group("static"), receipts.group("static")))
