"""The harness itself: no test reaches a network, and none passes for lack of a GPU."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from conftest import FreshPython
from refuse_network import NetworkRefused

GPU_TESTS = Path(__file__).with_name("test_gpu.py")


def test_a_download_is_refused_by_name() -> None:
    with pytest.raises(NetworkRefused, match=r"huggingface\.co"):
        urllib.request.urlopen("https://huggingface.co")


def test_a_connection_by_address_is_refused() -> None:
    with socket.socket() as connection, pytest.raises(NetworkRefused, match=r"127\.0\.0\.1"):
        connection.connect(("127.0.0.1", 9))


def test_a_fresh_python_has_no_network_either(fresh_python: FreshPython) -> None:
    done = fresh_python("import urllib.request; urllib.request.urlopen('https://pypi.org')")

    assert "NetworkRefused" in done.stderr


def test_a_missing_gpu_fails_every_gpu_test_where_one_is_required() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here: its tests run")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(GPU_TESTS), "--require-gpu"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert re.match(r"\d+ errors in", done.stdout.splitlines()[-1]), done.stdout
