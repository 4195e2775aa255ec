"""The image: its size, labels, layers and layout."""

from __future__ import annotations

import json
import re

import pytest

from vldock.common.cache_env import CACHE_ENV

MAXIMUM_SIZE = 6_000_000_000  # bytes, as `docker image inspect` counts


def test_the_image_is_at_most_six_gigabytes(image):
    assert image.attrs["Size"] <= MAXIMUM_SIZE


@pytest.mark.parametrize(
    ("label", "pattern"),
    [
        ("org.opencontainers.image.version", r"\d+\.\d+\.\d+"),
        ("org.opencontainers.image.revision", r"[0-9a-f]{40}(-dirty)?|unknown"),
        ("vldock.lock.sha256", r"[0-9a-f]{64}"),
        ("org.opencontainers.image.licenses", r"Apache-2\.0"),
    ],
)
def test_a_label_says_where_the_image_comes_from(image, label, pattern):
    assert re.fullmatch(pattern, image.labels[label])


def test_no_layer_shows_a_secret_or_an_index(image):
    history = json.dumps(image.history())
    secret = r"\bhf_[a-zA-Z0-9]{20,}|(?i:token=|password|https?://[^ ]*@|PIP_INDEX_URL=http)"
    assert not re.search(secret, history)


@pytest.mark.parametrize("tool", ["gcc", "g++", "cc", "make", "nvcc", "git"])
def test_no_compiler_is_in_the_image(run_in_image, tool):
    assert run_in_image(["bash", "-c", f"command -v {tool}"]).exit_code != 0


def test_no_download_cache_is_in_the_image(run_in_image):
    listing = "find /root/.cache /var/lib/apt/lists /var/cache/apt /workspace/.cache -type f -size +0 2>/dev/null"
    assert run_in_image(["bash", "-c", listing], entrypoint="").stdout.strip() == ""


def test_the_workspace_is_laid_out(run_in_image):
    done = run_in_image(["ls", "-A", "/workspace"])
    assert {"LLaVA", "VLMEvalKit", "scripts", "outputs", "LMUData", ".cache"} <= set(done.stdout.split())


def test_the_verify_receipt_is_in_the_image_and_has_no_failure(run_in_image):
    receipt = json.loads(run_in_image(["cat", "/opt/vldock/verify.json"]).stdout)
    assert (receipt["failed"], receipt["passed"] > 500) == (0, True)
    assert receipt["skipped"] == ["no GPU"]


def test_init_reaps_and_passes_signals_on(start_container):
    container = start_container(["sleep", "600"])
    assert container.exec(["cat", "/proc/1/comm"]).stdout.strip() == "tini"


def test_the_health_check_is_healthy(start_container):
    container = start_container(["sleep", "600"])
    done = container.exec(["/opt/venv/bin/python", "-I", "-S", "-B", "/opt/vldock/vldock/common/health.py"])
    assert (done.exit_code, done.stdout.strip()) == (0, "healthy")


def test_the_image_says_how_it_is_entered_and_watched(image):
    config = image.attrs["Config"]
    assert config["Entrypoint"][0] == "/usr/bin/tini"
    assert config["Entrypoint"][-1] == "/usr/local/bin/entrypoint.sh"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert (config["User"], config["WorkingDir"], config.get("Volumes")) == ("", "/workspace", None)


def test_the_image_s_environment_is_the_declared_one(image):
    environment = dict(line.split("=", 1) for line in image.attrs["Config"]["Env"])
    assert {name: environment.get(name) for name in CACHE_ENV} == CACHE_ENV
    assert not [name for name in environment if re.search("TOKEN|KEY|PASSWORD|SECRET|PROXY", name.upper())]


def test_a_pip_install_keeps_the_locked_versions(run_in_image):
    done = run_in_image(["pip", "install", "--no-index", "--dry-run", "torch==2.4.0"])
    assert done.exit_code != 0
    assert "constraint" in done.text.lower()


def test_the_doctor_finds_the_image_fit(run_in_image):
    done = run_in_image(["python", "-m", "vldock.image", "doctor", "--json"])
    assert done.exit_code == 0, done.text
    assert not [check for check in json.loads(done.stdout)["checks"] if check["status"] == "fail"]
