"""Fixtures of the in-image tests: no network, a GPU or a named skip, a fresh Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side: one core each, before anybody imports torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import refuse_network  # noqa: E402

refuse_network.install()
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1")
os.environ["VLDOCK_ALLOW_PYTHON"] = "1"  # pytest and these files lie outside the image's Python; inherited

IN_IMAGE = Path("/opt/vldock").is_dir()
LOCK = (
    Path("/opt/vldock/locks/transformers-4.37.lock") if IN_IMAGE else HERE.parents[1] / "locks/transformers-4.37.lock"
)
PRELUDE = (
    f"import sys; sys.path.insert(0, {str(HERE)!r}); import refuse_network; refuse_network.install(); sys.path.pop(0)\n"
)

FreshPython = Callable[..., subprocess.CompletedProcess[str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --require-gpu: a missing GPU is a failure, not a skip."""
    parser.addoption(
        "--require-gpu", action="store_true", help="fail, and do not skip, GPU tests where there is no GPU"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip with a reason, or fail, tests this machine cannot run."""
    if item.get_closest_marker("layout") and not IN_IMAGE:
        pytest.skip("not in the image: no /opt/vldock")
    if item.get_closest_marker("gpu") and not _has_gpu():
        if item.config.getoption("--require-gpu"):
            pytest.fail("no GPU, and --require-gpu was given: docker run --gpus all ...", pytrace=False)
        pytest.skip("no GPU")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """VLMEvalKit's LLaVA wrapper with a tiny model."""
    import tiny_wrapper

    return tiny_wrapper.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Questions of every shape: no image, one (two of them often), three, and cut prompts."""
    import tiny_wrapper

    return tiny_wrapper.questions(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def expected(wrapper: Any, asked: Any) -> Any:
    """Answers of VLMEvalKit's own loop: {index: (text, token ids)}."""
    import tiny_wrapper

    return tiny_wrapper.stock(wrapper, asked)


def python(code: str, *, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh Python with the network refused; return the finished process."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def fresh_python() -> FreshPython:
    """Function that runs code in a fresh Python, offline too."""
    return python


@pytest.fixture(scope="session")
def locked() -> dict[str, str]:
    """{distribution: version} of the lock."""
    from vldock.image.build.prove import parse_locked as read

    return read(LOCK.read_text(encoding="utf-8"))


def locked_names() -> list[str]:
    """Names of the locked distributions, for parametrisation."""
    from vldock.image.build.prove import parse_locked as read

    return sorted(read(LOCK.read_text(encoding="utf-8")))
