"""run.py with the model `cogvlm-chat` replaced by one of remote code (remote_code_repo.py): answers are its WORD.

`python remote_code_model.py --data POPE --model cogvlm-chat`; a tokenizer's repository is named beside the model's.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import refuse_network

refuse_network.install()

from remote_code_repo import REPO, TOKENS  # noqa: E402
from vlmeval.config import supported_VLM  # noqa: E402

from vldock.image import run_py  # noqa: E402


class RemoteCodeModel:
    """VLMEvalKit's model interface around a model of remote code."""

    is_api = False

    def __init__(self, model_path: str, tokenizer_name: str) -> None:
        from transformers import AutoModel

        self.model = AutoModel.from_pretrained(model_path, trust_remote_code=True)
        self.tokens = tokenizer_name

    def set_dump_image(self, _function: Any) -> None:
        """Take VLMEvalKit's function that decodes a row's image."""

    def use_custom_prompt(self, _dataset: str) -> bool:
        """Leave the prompt to the benchmark."""
        return False

    def generate(self, message: Any, dataset: str) -> str:
        """Answer what the remote code says."""
        return str(self.model.say())


if __name__ == "__main__":
    supported_VLM["cogvlm-chat"] = functools.partial(RemoteCodeModel, model_path=REPO, tokenizer_name=TOKENS)
    sys.exit(run_py.main(sys.argv[1:]))
