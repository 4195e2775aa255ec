"""Locks written and checked against a small index of files, by pip-tools and uv themselves."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest

from vldock.common.errors import InputRefused
from vldock.host.build import locks
from vldock.host.build.locks import Lock
from vldock.host.util import checkout


def add_release(index: Path, name: str, version: str, *, requires: str = "") -> None:
    """Add a wheel without code to an index of files (PEP 503)."""
    page = index / name / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    wheel, info = page.parent / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata + (f"Requires-Dist: {requires}\n" if requires else ""))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    before = page.read_text() if page.exists() else ""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page.write_text(f'{before}<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>\n')


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with an index of files and one lock.

    Its packages: `demo`, which needs `leaf`, and `alone`, whose dependency is not followed.
    """
    root = tmp_path_factory.mktemp("checkout")
    for name, version, requires in (("demo", "1.0", "leaf"), ("leaf", "1.0", ""), ("alone", "1.0", "leaf==9")):
        add_release(root / "simple", name, version, requires=requires)
    (root / "locks").mkdir()
    (root / "locks" / "some.in").write_text("demo\n")
    (root / "locks" / "some.nodeps.in").write_text("alone==1.0\n")
    with pytest.MonkeyPatch.context() as patch:
        use_index(patch, root)
        locks.write_lock(Lock("some", root / "locks"))
    return root


@pytest.fixture
def lock(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lock:
    """A copy of it that a test may change."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    use_index(monkeypatch, tmp_path)
    return Lock("some", tmp_path / "locks")


def use_index(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Make a folder the checkout, and its index the only one of pip and uv."""
    patch.setattr(checkout, "root", lambda: root)
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        patch.setenv(name, (root / "simple").as_uri())
    patch.setenv("UV_CACHE_DIR", str(root / "uv"))


def test_a_lock_follows_the_in_file_and_takes_the_nodeps_pins_as_they_are(lock: Lock) -> None:
    followed, alone = map(locks.parse_pins, lock.parts())
    assert {name: pin.version for name, pin in followed.items()} == {"demo": "1.0", "leaf": "1.0"}
    assert {name: pin.version for name, pin in alone.items()} == {"alone": "1.0"}
    assert all(pin.hashes for pin in (*followed.values(), *alone.values()))
    assert str(lock.folder) not in lock.path.read_text()


def test_a_lock_written_again_is_the_same_though_the_index_has_newer_releases(lock: Lock, tmp_path: Path) -> None:
    before = lock.path.read_bytes()
    add_release(tmp_path / "simple", "demo", "2.0")
    locks.write_lock(lock)
    assert lock.path.read_bytes() == before
    assert locks.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("some.lock", "leaf==1.0", "lead==1.0", "leaf: locked nothing, .in asks for 1.0"),
        ("some.lock", "demo==1.0", "demo==2.0", "demo: locked 2.0, .in asks for 1.0"),
        ("some.lock", "leaf==1.0", "leaf==1.0 --hash=sha256:00\nmore==1.0", "more: locked 1.0, .in asks for nothing"),
        ("some.lock", "--hash=sha256:", "--hash=sha256:0", "demo: sha256:0"),
        ("some.in", "demo\n", "leaf\n", "demo: locked 1.0, .in asks for nothing"),
        ("some.nodeps.in", "alone==1.0", "leaf==1.0", "leaf: locked nothing, .in asks for 1.0"),
    ],
    ids=["a missing pin", "a changed pin", "a pin nobody asks for", "an edited hash", "an edited .in", "a nodeps pin"],
)
def test_a_disagreement_is_named_and_exits_with_4(
    lock: Lock, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, told: str
) -> None:
    path = lock.folder / file
    path.write_text(path.read_text().replace(old, new, 1))
    assert locks.main(["--check", "some"]) == 4
    assert f"error: some.lock: {told}" in capsys.readouterr().err


def test_a_lock_that_is_not_there_exits_with_4(lock: Lock, capsys: pytest.CaptureFixture[str]) -> None:
    lock.path.unlink()
    assert locks.main(["--check"]) == 4
    assert "error: some.lock: some.lock is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("--index-url https://user:secret@index/simple\n", "holds an address"),
        ("demo @ file:///wheels/demo.whl\n", "holds an address"),
        ("demo==1.0\n    # via -r some.in\n", "demo==1.0 has no hash"),
    ],
    ids=["an index", "a local file", "a pin without hash"],
)
def test_a_lock_carries_no_address_and_no_pin_without_hash(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputRefused, match=told):
        locks.refuse_addresses(Lock("some", tmp_path), text)
