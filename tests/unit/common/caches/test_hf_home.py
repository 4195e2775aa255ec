"""HF_HOME and HF_HUB_CACHE move what lies below them, unless the user set it."""

from __future__ import annotations

import pytest

from vldock.common.cache_env import CACHE_ENV
from vldock.common.caches import hf_home
from vldock.common.workspace import variables

HUB, MODELS, DATA, CODE = "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE"
ALL = {HUB: "/x/hub", MODELS: "/x/hub", DATA: "/x/datasets", CODE: "/x/modules"}
WORKSPACE = {
    name: value for name, value in variables("/workspace").items() if name.startswith(("HF_", "HUGG", "TRANS"))
}


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        ({}, {}),
        ({"HF_HOME": "/x"}, ALL),
        ({"HF_HOME": "/x", DATA: "/mine"}, {**ALL, DATA: None}),
        ({"HF_HOME": "/x", "HF_HUB_CACHE": "/x/hub", MODELS: "/t"}, {**ALL, MODELS: None}),
        ({"HF_HOME": "/x", HUB: "/y"}, {MODELS: "/y", DATA: "/x/datasets", CODE: "/x/modules"}),
        ({"HF_HUB_CACHE": "/y"}, {HUB: "/y", MODELS: "/y"}),
        ({HUB: "/y"}, {MODELS: "/y"}),
        ({"WORKSPACE_ROOT": "/workspace", **WORKSPACE}, {}),
        ({"WORKSPACE_ROOT": "/workspace", **WORKSPACE, "HF_HOME": "/x"}, ALL),
        ({"HF_HOME": "/t/h", hf_home.SETTLED: "/t/h"}, {}),
        ({**ALL, "HF_HOME": "/z", hf_home.SETTLED: "/x"}, {key: f"/z{ALL[key][2:]}" for key in ALL}),
    ],
    ids=[
        "nothing", "HF_HOME", "with own data sets", "document 004", "with own hub", "HF_HUB_CACHE", "hub alone",
        "workspace", "workspace, then HF_HOME", "moved by us, the rest not", "HF_HOME twice",
    ],
)  # fmt: skip
def test_what_the_user_did_not_set_follows(given: dict[str, str], moved: dict[str, str | None]) -> None:
    environ = {**CACHE_ENV, **given}

    assert hf_home.follow_home(environ) == {name: value for name, value in moved.items() if value}


def test_a_variable_that_is_not_set_follows_too() -> None:
    assert hf_home.follow_home({"HF_HOME": "/x"}) == ALL


def test_stand_ins_keep_their_places() -> None:
    environ = {**CACHE_ENV, "HF_HOME": "/x", "VLDOCK_STANDIN": "1"}

    hf_home.apply(environ)

    assert environ[DATA] == CACHE_ENV[DATA]
