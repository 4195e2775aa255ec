"""One cache root in the image: a mounted folder's models are found in every documented layout and mode."""

from __future__ import annotations

import json

import pytest
from support.hub_cache_builder import REPO, add_repo

from vldock.common.workspace import variables

OTHER = "another/model"
PROBE = """
import json, sys
from huggingface_hub import hf_hub_download, scan_cache_dir
from transformers.utils import cached_file
for repo in sys.argv[1:]:
    cached_file(repo, "config.json"), hf_hub_download(repo, "config.json")
import huggingface_hub.constants as hub
print(json.dumps(sorted(repo.repo_id for repo in scan_cache_dir(hub.HF_HUB_CACHE).repos)))
"""
MODES = {"of the image": {}, "of the document": variables("/workspace")}
FLAT, HUB = "huggingface", "huggingface/hub"
CASES = {
    "the image's": ("/workspace/.cache", {FLAT: REPO}, {}),
    "a machine's own": ("/workspace/.cache", {HUB: REPO}, {}),
    "both": ("/workspace/.cache", {FLAT: REPO, HUB: OTHER}, {}),
    "both, at the other name": ("/workspace/cache", {FLAT: REPO, HUB: OTHER}, {}),
    "another user's, read-only": ("/workspace/.cache:ro", {HUB: REPO}, {"user": "12345:12345"}),
    "the image's, read-only": ("/workspace/cache:ro", {FLAT: REPO}, {}),
    "both, read-only": ("/workspace/.cache:ro", {FLAT: REPO, HUB: OTHER}, {"user": "12345:12345", "read_only": True}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_every_model_of_a_mounted_cache_is_found_once(run_in_image, tmp_path, mode, case):
    target, filled, options = CASES[case]
    for place, repo in filled.items():
        add_repo(tmp_path / "cache" / place, repo=repo)
    tmp_path.chmod(0o755)
    more = {"tmpfs": ["/tmp"]} if options.get("read_only") else {}

    done = run_in_image(
        ["python", "-c", PROBE, *filled.values()], mounts={tmp_path / "cache": target},
        environment={**MODES[mode], "HF_HUB_OFFLINE": "1"}, **options, **more,
    )  # fmt: skip

    assert done.exit_code == 0, done.text
    assert json.loads(done.stdout) == sorted(filled.values())


def test_a_fresh_container_migrates_no_cache(run_in_image):
    done = run_in_image(["python", "-W", "ignore", "-c", "import transformers.utils.hub"])

    assert done.text == ""


def test_an_empty_mounted_folder_gets_both_layouts_and_keeps_a_model_in_one(run_in_image, tmp_path):
    mounts = {tmp_path: "/workspace/.cache"}
    run_in_image(["mkdir", "-p", "/workspace/cache/huggingface/hub"], mounts=mounts)
    add_repo(tmp_path / HUB)

    done = run_in_image(["python", "-c", PROBE, REPO], mounts=mounts, environment={"HF_HUB_OFFLINE": "1"})

    assert json.loads(done.stdout) == [REPO]
    assert (tmp_path / FLAT / f"models--{REPO.replace('/', '--')}").is_dir()


FOLLOWS = """
import datasets.config as data, huggingface_hub.constants as hub
from transformers.utils.hub import TRANSFORMERS_CACHE
print(hub.HF_HUB_CACHE, TRANSFORMERS_CACHE, data.HF_DATASETS_CACHE, data.HF_MODULES_CACHE)
"""
OWN = {"HF_HOME": "/tmp/h", "HF_HUB_CACHE": "/tmp/h/hub", "TRANSFORMERS_CACHE": "/tmp/t"}


@pytest.mark.parametrize(
    ("environ", "places"),
    [
        ({}, "{c} {c} {c}/datasets {c}/modules"),
        ({"HF_HOME": "/tmp/h"}, "/tmp/h/hub /tmp/h/hub /tmp/h/datasets /tmp/h/modules"),
        ({"HF_HOME": "/tmp/h", "HF_DATASETS_CACHE": "/tmp/d"}, "/tmp/h/hub /tmp/h/hub /tmp/d /tmp/h/modules"),
        (OWN, "/tmp/h/hub /tmp/t /tmp/h/datasets /tmp/h/modules"),
    ],
    ids=["nothing", "HF_HOME", "and data sets", "the three of document 004"],
)
@pytest.mark.parametrize("how", ["docker run -e", "before a command", ".env"])
def test_hf_home_moves_what_the_user_did_not_set(run_in_image, tmp_path, environ, places, how):
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in environ.items()))
    argv, options = ["python", "-W", "ignore", "-c", FOLLOWS], {}
    if how == ".env":
        options = {"mounts": {tmp_path / ".env": "/workspace/.env:ro"}}
    elif how == "docker run -e":
        options = {"environment": environ}
    else:
        argv = ["env", *(f"{name}={value}" for name, value in environ.items()), *argv]

    done = run_in_image(argv, **options)

    assert done.stdout.strip() == places.format(c="/workspace/.cache/huggingface"), done.text
