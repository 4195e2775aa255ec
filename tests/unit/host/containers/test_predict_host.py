"""`vldock predict`: files of this machine mounted, and named as in the container."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.host.containers.path_arguments import COMMAND, translate


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "q.jsonl"):
        (tmp_path / name).write_text("x")
    (tmp_path / "models--o--n" / "snapshots" / "abc").mkdir(parents=True)
    return tmp_path


def told(words: list[str]) -> tuple[list[str], list[str]]:
    asked = translate(words)
    return list(asked.argv[len(COMMAND) :]), [mount.option() for mount in asked.mounts]


def test_images_are_mounted_one_by_one_and_read_only(here: Path) -> None:
    words, mounts = told(["--image", "a.png", "--image=http://host/b.png", "--json", "what?"])

    assert words == ["--image", "/workspace/inputs/0/a.png", "--image", "http://host/b.png", "--json", "what?"]
    assert mounts == [f"{here}/a.png:/workspace/inputs/0/a.png:ro"]


def test_questions_and_answers_are_mounted_as_folders(here: Path) -> None:
    words, mounts = told(["--questions", "q.jsonl", "--out", "a.jsonl"])

    assert words == ["--questions", "/workspace/inputs/0/q.jsonl", "--out", "/workspace/answers/a.jsonl"]
    assert mounts == [f"{here}:/workspace/inputs/0:ro", f"{here}:/workspace/answers"]


def test_a_snapshot_is_mounted_with_the_blobs_its_links_point_to(here: Path) -> None:
    words, mounts = told(["--model", "models--o--n/snapshots/abc", "what?"])

    assert words[1] == "/workspace/models/models--o--n/snapshots/abc"
    assert mounts == [f"{here}/models--o--n:/workspace/models/models--o--n:ro"]


def test_a_workspace_is_mounted_at_its_own_path_with_its_variables(here: Path) -> None:
    asked = translate(["what?"], root=here)

    assert [mount.option() for mount in asked.mounts] == [f"{here}:{here}"]
    assert asked.env["WORKSPACE_ROOT"] == str(here)
    assert asked.env["HF_HOME"] == f"{here}/cache/huggingface"


@pytest.mark.parametrize(
    ("words", "reads"),
    [
        (["what?"], False),
        (["--image", "-", "what?"], True),
        (["--image", "a.png"], True),
        (["--image", "a.png", "-"], True),
        (["--questions", "-", "--out", "a.jsonl"], True),
        (["--questions", "q.jsonl", "--out", "a.jsonl"], False),
        (["--help"], False),
    ],
    ids=str,
)
@pytest.mark.usefixtures("here")
def test_standard_input_is_handed_on_where_it_is_read(words: list[str], reads: bool) -> None:
    assert translate(words).stdin is reads


@pytest.mark.parametrize("words", [["--image", "gone.png"], ["--out", "no/a.jsonl"], ["--image"]], ids=str)
@pytest.mark.usefixtures("here")
def test_what_is_not_there_is_a_wrong_argument(words: list[str]) -> None:
    with pytest.raises(UsageError):
        translate(words)
