"""Start token and picture sizes of VLMEvalKit's MiniCPM-V 2.6 wrapper."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from vldock.image.vlmeval_hooks.provenance import prompts, sample_notes

SEED = 0  # of the wrapper's constructor


def set_start_token(wrapper: Any) -> None:
    """Set the language model's start token to the tokenizer's.

    transformers 4.37.2 begins an answer to embeddings with the model's; the remote code strips the tokenizer's only.
    """
    wrapper.model.llm.generation_config.bos_token_id = wrapper.tokenizer.bos_token_id


def seed_sizes(message: Any, benchmark: str | None) -> random.Random:
    """Return the random numbers for the picture sizes of one sample, and note their seed.

    They depend on the benchmark and the sample's texts and images alone, whatever was asked before.
    """
    content = f"{SEED} {benchmark} {sample_notes.message_hash(message)}"
    seed = int(hashlib.sha256(content.encode()).hexdigest()[:8], 16)
    prompts.note_seed(seed)
    return random.Random(seed)
