"""Remote code runs from a folder of the process's own; only known or accepted code runs, and it is recorded."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import remote_code_repo
from remote_code_repo import COMMIT, REPO

SCRIPT = """
import functools, json, os, sys
from vldock.image.startup import prepare
from vldock.image.vlmeval_hooks.models import build
from vldock.image.remote_code import admission, modules_folder

class Wrapper:
    def __init__(self, model_path):
        from transformers import AutoModel
        self.model = AutoModel.from_pretrained(model_path, trust_remote_code=True)

    def generate(self, message, dataset=None):
        return self.model.say()

def load(name=sys.argv[1]):
    return build.build({"tiny": functools.partial(Wrapper, model_path=name)}, "tiny", {}).generate("")

prepare.prepare_imports()
said = load()
exec(sys.argv[2])
print(json.dumps({"said": said, "code": admission.describe_repositories([sys.argv[1]]),
                  "folder": str(modules_folder.process_folder())}))
"""


class Loads:
    """Loads of the tiny model in processes of their own, with one cache and one modules folder to share."""

    def __init__(self, root: Path) -> None:
        self.root, self.snapshot = root, remote_code_repo.write(root / "cache")
        self.shared = root / "modules" / "transformers_modules" / REPO / COMMIT
        remote_code_repo.write_weights(self.snapshot)

    def run(self, name: str = REPO, then: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Load the model and print what it says, the record, and the folder."""
        cache = str(self.root / "cache")
        variables = {"HF_MODULES_CACHE": str(self.root / "modules"), "VLDOCK_ACCEPT_REMOTE_CODE": REPO}
        variables |= dict.fromkeys(("HF_HOME", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"), cache)
        command = [sys.executable, "-c", SCRIPT, name, then]
        return subprocess.run(
            command, env={**os.environ, **variables, **env}, capture_output=True, text=True, check=False
        )

    def said(self, *arguments: str, **env: str) -> dict[str, Any]:
        """Return what a load printed; it must succeed."""
        done = self.run(*arguments, **env)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    return Loads(tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the first load with an empty modules cache printed."""
    loads = Loads(tmp_path_factory.mktemp("first"))
    then = "assert os.stat(modules_folder.process_folder()).st_mode & 0o777 == 0o700"
    return {**loads.said(REPO, then), "shared": loads.shared.exists()}


def test_code_that_imports_flash_attention_where_it_is_there_loads_from_an_empty_cache(first: dict[str, Any]) -> None:
    assert first["said"] == "clean"


def test_the_folder_of_a_process_is_gone_at_its_end(first: dict[str, Any]) -> None:
    assert not Path(first["folder"]).exists()
    assert not first["shared"]


def test_what_runs_is_recorded_file_by_file(first: dict[str, Any]) -> None:
    code = first["code"][REPO]

    assert code["verdict"] == "accepted"
    assert code["files"] == {
        name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in remote_code_repo.FILES.items()
        if name.endswith(".py")
    }


def test_an_edited_file_in_the_modules_cache_never_runs(loads: Loads) -> None:
    loads.shared.mkdir(parents=True)
    for name, text in remote_code_repo.FILES.items():
        (loads.shared / name).write_text(text.replace("clean", "TAMPERED"))

    assert loads.said()["said"] == "clean"


def test_a_fork_has_a_folder_of_its_own_and_leaves_its_parents_alone(loads: Loads) -> None:
    fork = """
mine = modules_folder.process_folder()
if (child := os.fork()) == 0:
    assert load() == "clean" and modules_folder.process_folder() != mine
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0 and mine.is_dir()
"""
    assert loads.said(REPO, fork)["said"] == "clean"


def test_undeclared_code_is_refused_with_what_accepts_it(loads: Loads) -> None:
    done = loads.run(VLDOCK_ACCEPT_REMOTE_CODE="")
    setting = next(word for word in done.stderr.split() if word.startswith(f"VLDOCK_ACCEPT_REMOTE_CODE={REPO}@"))

    assert done.returncode == 1
    assert f"unknown remote code in {REPO}" in done.stderr
    assert loads.said(VLDOCK_ACCEPT_REMOTE_CODE=setting.partition("=")[2])["said"] == "clean"


def test_accepted_code_that_was_edited_since_is_refused(loads: Loads, first: dict[str, Any]) -> None:
    digest = first["code"][REPO]["sha256"]
    (loads.snapshot / "letters.py").write_text('WORD = "TAMPERED"\n')

    done = loads.run(VLDOCK_ACCEPT_REMOTE_CODE=f"{REPO}@{digest[:12]}")

    assert done.returncode == 1
    assert f"expected sha256 {digest[:12]}..., which VLDOCK_ACCEPT_REMOTE_CODE accepts" in done.stderr


def test_a_file_edited_while_its_process_runs_is_refused_at_the_next_load(loads: Loads) -> None:
    edit = f"open({str(loads.snapshot / 'letters.py')!r}, 'w').write('WORD = 1'); load()"
    done = loads.run(REPO, edit)

    assert done.returncode == 1
    assert "letters.py of somebody/tiny-code is not what this process runs" in done.stderr


def test_two_folders_of_one_name_do_not_run_each_others_code(loads: Loads) -> None:
    for parent, word in (("a", "clean"), ("b", "other")):
        folder = loads.root / parent / "mine"
        folder.mkdir(parents=True)
        for name, text in remote_code_repo.FILES.items():
            (folder / name).write_text(text.replace("clean", word))
        remote_code_repo.write_weights(folder)
    first, second = (str(loads.root / parent / "mine") for parent in "ab")

    assert loads.said(first, VLDOCK_ACCEPT_REMOTE_CODE="mine")["said"] == "clean"
    done = loads.run(first, f"load({second!r})", VLDOCK_ACCEPT_REMOTE_CODE="mine")
    assert done.returncode == 1
    assert "two folders of one name need two processes" in done.stderr


def test_a_package_this_image_lacks_is_named_with_its_file(loads: Loads) -> None:
    path = loads.snapshot / "letters.py"
    path.write_text("import no_such_package\n" + path.read_text())

    done = loads.run()

    assert done.returncode == 1
    assert "letters.py" in done.stderr
    assert "no_such_package (not in this image)" in done.stderr
    assert "pip install" not in done.stderr
