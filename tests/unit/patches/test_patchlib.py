"""Mechanics of the patches, on tiny made-up packages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import patchcli
import registry
from patchlib import Edit, Package, Patch, PatchRefusedError, State, plan
from patchwrite import execute

ONE, TWO = "first = 1\nsecond = 2\n", "third = 3\n"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


PACKAGE = Package("toy", "1.0", "/nowhere", {"toy/one.py": sha(ONE), "toy/two.py": sha(TWO)})
FIRST = Patch(
    name="first",
    package=PACKAGE,
    reason="one is wrong",
    edits={
        "toy/one.py": (Edit("first = 1\n", "first = 10  # put right\n"),),
        "toy/two.py": (Edit("third = 3\n", "third = 30\n"),),
    },
)
SECOND = Patch(name="second", package=PACKAGE, reason="two", edits={"toy/one.py": (Edit("second = 2", "second = 20"),)})
ADDS = Patch(name="adds", package=PACKAGE, reason="a file is missing", new_files={"toy/new.py": "fresh = True\n"})
KNOWN = (FIRST, SECOND, ADDS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "one.py").write_text(ONE)
    (tmp_path / "toy" / "two.py").write_text(TWO)
    return tmp_path


@pytest.fixture(autouse=True)
def toy_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ALL", KNOWN)


def apply(root: Path, *patches: Patch) -> None:
    execute(plan(patches, known=KNOWN, root=root))


def texts(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((root / "toy").glob("*.py"))}


def test_edits_are_written(root: Path) -> None:
    apply(root, FIRST)

    assert texts(root) == {"one.py": "first = 10  # put right\nsecond = 2\n", "two.py": "third = 30\n"}


def test_applying_twice_changes_nothing(root: Path) -> None:
    apply(root, *KNOWN)
    before = texts(root)

    again = plan(KNOWN, known=KNOWN, root=root)

    assert again.applied
    assert again.changes == ()
    assert texts(root) == before


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)], ids=["in order", "the other way round"])
def test_patches_of_one_file_apply_in_any_order(root: Path, order: tuple[Patch, Patch]) -> None:
    for patch in order:
        apply(root, patch)

    assert texts(root)["one.py"] == "first = 10  # put right\nsecond = 20\n"
    assert plan(order, known=KNOWN, root=root).applied


def test_a_patch_that_stopped_halfway_is_completed(root: Path) -> None:
    (root / "toy" / "two.py").write_text("third = 30\n")

    apply(root, FIRST)

    assert texts(root)["one.py"].startswith("first = 10")


def test_an_unknown_file_is_refused_with_both_hashes_and_the_version(root: Path) -> None:
    (root / "toy" / "two.py").write_text("third = 4\n")

    with pytest.raises(PatchRefusedError) as refused:
        apply(root, FIRST)

    report = refused.value.render()
    assert all(part in report for part in ("toy/two.py", sha("third = 4\n"), sha(TWO), "toy==1.0"))


def test_nothing_is_written_when_one_file_of_several_is_unknown(root: Path) -> None:
    (root / "toy" / "two.py").write_text("third = 4\n")

    with pytest.raises(PatchRefusedError):
        apply(root, FIRST, SECOND)

    assert texts(root)["one.py"] == ONE


def test_a_change_next_to_an_applied_patch_is_refused(root: Path) -> None:
    apply(root, FIRST)
    (root / "toy" / "two.py").write_text("third = 30\nfourth = 4\n")

    with pytest.raises(PatchRefusedError):
        plan([FIRST], known=KNOWN, root=root)


def test_an_anchor_that_occurs_twice_is_refused(root: Path) -> None:
    twice = Patch(name="first", package=PACKAGE, reason="x", edits={"toy/one.py": (Edit(" = ", " == "),)})

    with pytest.raises(PatchRefusedError, match="occurs 2 times"):
        plan([twice], known=[twice], root=root)


def test_an_edit_that_could_not_be_recognised_later_is_refused(root: Path) -> None:
    blind = Patch(name="first", package=PACKAGE, reason="x", edits={"toy/one.py": (Edit("second = 2", ""),)})

    with pytest.raises(PatchRefusedError, match="cannot be undone"):
        plan([blind], known=[blind], root=root)


def test_a_new_file_is_added_once_and_another_text_there_is_refused(root: Path) -> None:
    apply(root, ADDS)
    states = plan([ADDS], known=KNOWN, root=root).states
    (root / "toy" / "new.py").write_text("mine = True\n")

    assert states == {"adds": State.APPLIED}
    with pytest.raises(PatchRefusedError, match="exists with another text"):
        plan([ADDS], known=KNOWN, root=root)


def test_stale_bytecode_of_the_module_goes_and_other_bytecode_stays(root: Path) -> None:
    cache = root / "toy" / "__pycache__"
    cache.mkdir()
    for name in ("one.cpython-311.pyc", "other.cpython-311.pyc"):
        (cache / name).write_bytes(b"")

    apply(root, SECOND)

    assert [path.name for path in cache.iterdir()] == ["other.cpython-311.pyc"]


def test_mode_of_the_file_is_kept_and_nothing_is_left_aside(root: Path) -> None:
    (root / "toy" / "one.py").chmod(0o664)

    apply(root, SECOND)

    assert (root / "toy" / "one.py").stat().st_mode & 0o777 == 0o664
    assert sorted(path.name for path in (root / "toy").iterdir()) == ["one.py", "two.py"]


def test_check_exits_1_before_0_after_and_4_on_an_unknown_file(root: Path) -> None:
    check = ["--root", str(root), "--check"]

    before = patchcli.main(FIRST, check)
    applied = patchcli.main(FIRST, ["--root", str(root)])
    after = patchcli.main(FIRST, check)
    (root / "toy" / "two.py").write_text("third = 4\n")

    assert (before, applied, after, patchcli.main(FIRST, check)) == (1, 0, 0, 4)


@pytest.mark.parametrize("option", ["--check", "--dry-run"])
def test_looking_writes_nothing(root: Path, option: str) -> None:
    patchcli.main(FIRST, ["--root", str(root), option])

    assert texts(root) == {"one.py": ONE, "two.py": TWO}


def test_json_tells_states_and_the_sha256_of_what_is_written(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patchcli.main(SECOND, ["--root", str(root), "--json"])

    report = json.loads(capsys.readouterr().out)

    assert report["patches"] == {"second": "applied"}
    assert report["files"] == [{"path": str(root / "toy/one.py"), "sha256": sha("first = 1\nsecond = 20\n")}]


def test_a_missing_package_is_refused_with_the_option_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = patchcli.main(FIRST, ["--root", str(tmp_path)])

    assert code == 4
    assert "--root" in capsys.readouterr().err


def test_two_packages_in_one_folder_are_told_apart(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Package("other", "2.0", "/nowhere", {"toy/two.py": sha(TWO)})
    lone = Patch(name="lone", package=other, reason="x", edits={"toy/two.py": (Edit("third = 3", "third = 33"),)})
    monkeypatch.setattr(registry, "ALL", (SECOND, lone))
    targets = [(SECOND, root), (lone, root)]

    codes = [patchcli.run(targets, patchcli.Options(look, False, False, False)) for look in (False, True)]

    assert codes == [0, 0]
