"""Paths in the image."""

from __future__ import annotations

from vldock.common import build_digest
from vldock.common.cache_env import WORKSPACE

CHECKPOINTS = f"{WORKSPACE}/checkpoints"
CHECKPOINTS_VARIABLE = "VLDOCK_CHECKPOINTS"  # set by `vldock train`: the one folder of runs that outlives the container
OPT = "/opt/vldock"
VENV = "/opt/venv"
LLAVA = f"{WORKSPACE}/LLaVA"
VLMEVALKIT = f"{WORKSPACE}/VLMEvalKit"
WORKSPACE_SCRIPTS = f"{WORKSPACE}/scripts"
LOCK = f"{OPT}/locks/transformers-4.37.lock"
WEIGHTS_LOCK = f"{OPT}/locks/weights.json"
DATASETS_LOCK = f"{OPT}/locks/datasets.json"
PIP_CHECK_EXPECTED = f"{OPT}/locks/pip-check-expected.txt"
CONSTRAINTS = f"{OPT}/constraints.txt"
BUILD_FACTS = build_digest.BUILD_FACTS
BUILD_PACKAGES = f"{OPT}/os-packages.build.txt"  # dpkg of the stage that installed the lock
PATCHES = f"{OPT}/patches"
ENV_FILES = (f"{VLMEVALKIT}/.env", f"{WORKSPACE}/.env")
# The Hub's token under each name people give it; huggingface_hub itself reads the first two.
TOKEN_VARIABLES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HUGGINGFACE_HUB_TOKEN",
    "HUGGINGFACE_TOKEN",
    "HUGGINGFACEHUB_API_TOKEN",
)
