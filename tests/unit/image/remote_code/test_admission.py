"""Verdicts on remote code: pinned, accepted by name, not pinned, a stand-in, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vldock.common import hashing, remote_code
from vldock.common.errors import InputRefused, UsageError
from vldock.common.remote_code import RemoteCode
from vldock.image.remote_code import admission, executed

DECLARED, UNDECLARED = "openbmb/MiniCPM-V-2_6", "somebody/model"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A snapshot with one file of remote code."""
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "modeling.M"}}))
    (tmp_path / "modeling.py").write_text("M = 1\n")
    return tmp_path


def pin(monkeypatch: pytest.MonkeyPatch, source: Path | None) -> None:
    """Pin the code that `source` holds now, or none."""
    blobs = {"modeling.py": (hashing.git_blob_file(source / "modeling.py"),)} if source else None
    monkeypatch.setattr(remote_code, "read_pin", lambda _: RemoteCode(None, blobs, None))


def judge(name: str, source: Path, **environ: str) -> str:
    return admission.judge(name, source, executed.describe(source)["sha256"], environ)


def test_code_with_the_pinned_blobs_may_run(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    pin(monkeypatch, source)

    assert judge(DECLARED, source) == admission.PINNED


def test_code_other_than_pinned_is_refused_by_file_unless_accepted(
    monkeypatch: pytest.MonkeyPatch, source: Path
) -> None:
    pin(monkeypatch, source)
    (source / "modeling.py").write_text("M = 2\n")

    with pytest.raises(InputRefused, match=r"modeling\.py: blob") as refused:
        judge(DECLARED, source)
    setting = str(refused.value.hint).split()[0].removeprefix("VLDOCK_ACCEPT_REMOTE_CODE=")
    assert judge(DECLARED, source, VLDOCK_ACCEPT_REMOTE_CODE=f"a/b,{setting}") == admission.ACCEPTED


def test_without_a_pin_a_declared_repository_runs_and_another_does_not(
    monkeypatch: pytest.MonkeyPatch, source: Path
) -> None:
    pin(monkeypatch, None)

    assert judge(DECLARED, source) == admission.UNPINNED
    with pytest.raises(InputRefused, match="unknown remote code in somebody/model"):
        judge(UNDECLARED, source)
    assert judge(UNDECLARED, source, VLDOCK_ACCEPT_REMOTE_CODE=UNDECLARED) == admission.ACCEPTED


def test_a_folder_with_the_code_of_a_declared_repository_may_run(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    blobs = {"modeling.py": (hashing.git_blob_file(source / "modeling.py"),)}
    pins = {DECLARED: RemoteCode(None, blobs, None)}
    monkeypatch.setattr(remote_code, "read_pin", lambda repo: pins.get(repo, RemoteCode()))

    assert judge("mine", source) == admission.PINNED
    (source / "modeling.py").write_text("M = 2\n")
    with pytest.raises(InputRefused, match="unknown remote code in mine"):
        judge("mine", source)


def test_a_snapshots_folder_goes_by_its_repository(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--openbmb--MiniCPM-V-2_6" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)

    names = [executed.name_of(name) for name in (str(snapshot), str(tmp_path), "a/b")]
    assert names == [DECLARED, tmp_path.name, "a/b"]


def test_an_acceptance_of_other_code_refuses_even_a_declared_repository(
    monkeypatch: pytest.MonkeyPatch, source: Path
) -> None:
    pin(monkeypatch, None)

    with pytest.raises(InputRefused) as refused:
        judge(DECLARED, source, VLDOCK_ACCEPT_REMOTE_CODE=f"{DECLARED}@{'0' * 8}")
    assert "which VLDOCK_ACCEPT_REMOTE_CODE accepts" in str(refused.value.expected)


def test_only_under_standin_do_the_stand_ins_run_unpinned(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    pin(monkeypatch, source)
    (source / "modeling.py").write_text("M = 2\n")
    monkeypatch.setattr(admission, "ASSETS", source.parent)

    assert judge(DECLARED, source, VLDOCK_STANDIN="1") == admission.STANDIN
    with pytest.raises(InputRefused):
        judge(DECLARED, source)


def test_code_that_was_not_loaded_is_described_as_if_it_were(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    pin(monkeypatch, source)

    (facts,) = admission.describe_repositories([str(source), str(source.parent / "absent")]).values()

    assert (facts["verdict"], list(facts["files"])) == (admission.PINNED, ["modeling.py"])
    (source / "modeling.py").write_text("M = 2\n")
    assert "verdict" not in admission.describe_repositories([str(source)])[source.name]


@pytest.mark.parametrize("word", ["a/b@12", "a/b@xyzxyzxyz", "a@b@c", "@12345678"])
def test_a_malformed_acceptance_is_a_usage_error(word: str) -> None:
    with pytest.raises(UsageError, match="VLDOCK_ACCEPT_REMOTE_CODE"):
        admission.accepted_code({"VLDOCK_ACCEPT_REMOTE_CODE": word})
