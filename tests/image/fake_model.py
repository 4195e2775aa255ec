"""`evaluate` with a fake model: `python fake_model.py evaluate ...`; FAKE_* set its answers.

FAKE_BROKEN names a benchmark for which no answer is obtained, FAKE_FAILS a rank that fails at its second answer,
FAKE_HOLDS "N FILE": after N answers FILE is made and the next question never answered; a signal finds it at work.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import refuse_network

refuse_network.install()

import torch  # noqa: E402

# VLMEvalKit prints when it is imported; the command itself imports it with its output captured.
with contextlib.redirect_stdout(sys.stderr):
    from vlmeval.config import supported_VLM

from vldock.image.__main__ import main  # noqa: E402


class Fake:
    """VLMEvalKit's model interface, and weights, so that it has a device."""

    is_api = False

    def __init__(self) -> None:
        self.model, self.asked = torch.nn.Linear(1, 1), 0
        print("loading the fake model")

    def set_dump_image(self, _function: Any) -> None:
        """Take VLMEvalKit's function that decodes a row's image."""

    def use_custom_prompt(self, _dataset: str) -> bool:
        """Leave the prompt to the benchmark."""
        return False

    def generate(self, message: Any, dataset: str) -> str:
        """Answer A, or fail."""
        self.asked += 1
        if self.asked > 1 and os.environ.get("RANK") == os.environ.get("FAKE_FAILS", "none"):
            raise RuntimeError("this rank is broken")
        answers, _, held = os.environ.get("FAKE_HOLDS", "").partition(" ")
        if held and self.asked > int(answers):
            Path(held).touch()
            while True:
                time.sleep(0.1)  # a signal ends it, whenever it comes
        return "Failed to obtain answer" if dataset == os.environ.get("FAKE_BROKEN") else "A"


if __name__ == "__main__":
    supported_VLM["llava_v1.5_7b"] = Fake
    sys.exit(main(sys.argv[1:]))
