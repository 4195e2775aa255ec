"""Python from outside the image: found, reported, refused or allowed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from vldock.common.errors import InputRefused
from vldock.image.evaluation import cell_identity
from vldock.image.startup import foreign_python

OWN = [
    "/workspace/VLMEvalKit",
    "/usr/lib/python311.zip",
    "/usr/lib/python3.11",
    "/opt/venv/lib/python3.11/site-packages",
]


def module(path: str) -> ModuleType:
    made = ModuleType("made")
    made.__file__ = path
    return made


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sys.path and modules of the image; nothing noticed yet."""
    (tmp_path / "build.json").touch()
    monkeypatch.setattr(foreign_python, "BUILD_FACTS", str(tmp_path / "build.json"))
    monkeypatch.setattr(foreign_python, "_noticed", [])
    monkeypatch.setattr(sys, "path", OWN)
    monkeypatch.setattr(sys, "modules", {"os": module("/usr/lib/python3.11/os.py"), "__main__": module("/tmp/mine.py")})


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, []),
        ({"PYTHONPATH": "/workspace/LLaVA:/opt/venv/../vldock"}, []),
        ({"PYTHONPATH": "/workspace/LLaVA:/data/lib"}, ["PYTHONPATH=/data/lib"]),
        ({"PYTHONPATH": "/opt/venv/../../data"}, ["PYTHONPATH=/opt/venv/../../data"]),
        ({"PYTHONPATH": "/opt/vldock-mine"}, ["PYTHONPATH=/opt/vldock-mine"]),
        ({"PYTHONSTARTUP": "/home/ada/.pythonrc"}, ["PYTHONSTARTUP=~/.pythonrc"]),
        ({"PYTHONUSERBASE": "/data/user", "PYTHONHOME": "/usr"}, ["PYTHONHOME=/usr", "PYTHONUSERBASE=/data/user"]),
    ],
    ids=lambda value: str(value),
)
def test_a_variable_counts_for_what_of_it_is_not_the_images(environ: dict[str, str], found: list[str]) -> None:
    assert foreign_python.find_foreign(environ) == found


def test_a_folder_of_sys_path_counts_whoever_put_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*OWN, "/data/lib"])

    assert foreign_python.find_foreign({}) == ["sys.path has /data/lib"]


def test_a_module_from_elsewhere_counts_and_a_sitecustomize_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sitecustomize", "json"):
        monkeypatch.setitem(sys.modules, name, module(f"/data/lib/{name}.py"))

    assert foreign_python.find_foreign({"PYTHONPATH": "/data/lib"}) == [
        "PYTHONPATH=/data/lib",
        "sitecustomize of /data/lib/sitecustomize.py",
    ]
    assert foreign_python.find_foreign({}) == [
        "sitecustomize of /data/lib/sitecustomize.py",
        "json of /data/lib/json.py",
    ]


@pytest.mark.parametrize("allowed", ["", "0", "no", "False"])
def test_it_is_refused_with_what_and_how_to_go_on(allowed: str) -> None:
    with pytest.raises(InputRefused, match="PYTHONPATH=/data/lib") as caught:
        foreign_python.refuse_foreign({"PYTHONPATH": "/data/lib", foreign_python.ALLOW: allowed})

    assert caught.value.exit_code == 4
    assert caught.value.hint == "env -u PYTHONPATH ...; or VLDOCK_ALLOW_PYTHON=1, and the passport names it"


def test_what_is_allowed_is_said_and_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    foreign_python.refuse_foreign({"PYTHONPATH": "/data/lib", foreign_python.ALLOW: "1"})

    said = "vldock: Python from outside the image, allowed and in the passport: PYTHONPATH=/data/lib\n"
    assert capsys.readouterr().err == said
    assert foreign_python.describe_foreign({}) == "PYTHONPATH=/data/lib"


def test_what_a_library_put_on_the_path_later_is_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*OWN, "/tmp/tmp_made_by_torch"])

    assert foreign_python.describe_foreign({"PYTHONPATH": "/data/lib"}) == "PYTHONPATH=/data/lib"


def test_a_finished_cell_is_kept_only_with_the_same_foreign_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(text: str) -> dict[str, object]:
        monkeypatch.setattr(foreign_python, "_noticed", [text])
        return cell_identity.cell_identity(model="tiny", benchmark="POPE", limit=None, standin=False, judge=None)

    assert of("PYTHONPATH=/data/lib") == of("") | {"foreign_python": "PYTHONPATH=/data/lib"}


def test_outside_an_image_nothing_is_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_python, "BUILD_FACTS", "/nonexistent/build.json")

    assert foreign_python.describe_foreign({"PYTHONPATH": "/data/lib"}) == ""


def test_the_folder_a_command_is_typed_in_is_taken_off_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *OWN])

    foreign_python.drop_current_folder()

    assert sys.path == OWN
