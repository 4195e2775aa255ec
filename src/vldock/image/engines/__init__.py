"""Inference engines: VLMEvalKit's own loop, or a batched one.

Both give the same answers.
Called by VLMEvalKit's inference (as patched), predict, evaluation and the session's worker. This file imports the
standard library only until an engine is made.

batched          BatchedEngine: prefill, then decode; rows join and leave between steps
eligibility      models and settings the batched engine accepts
decoding         greedy decoding with generate()'s processors and criteria
inputs           prompts as tokens, images as pixels, prefetched
sequence         one question's tokens, images and answer
prefill          prompts to keys and values, shared prefixes once
language_model   forward passes of the decoder
kv_cache         preallocated, right-aligned keys and values
memory           number of rows that fit
memory_features  vision features by image, in memory
disk_features    the same, from the feature cache
memoized_tower   memoized vision tower for VLMEvalKit's own loop
byte_lru         LRU store bounded in bytes
shared_model     one loaded model for many benchmarks
vlmeval_loop     an engine in place of VLMEvalKit's loop
"""

from __future__ import annotations

import os
from typing import Any

from vldock.common import inference_options
from vldock.image.answering.types import AnswersQuestions


def engine_of(model: Any, name: str) -> AnswersQuestions | None:
    """Return the engine for `model`, a wrapper of VLMEvalKit's; `name` is the model's.

    None leaves the answers to VLMEvalKit's own loop.
    A resident worker's engine (`model._vldock_engine`, None where it refused the model) comes first, then the batched
    engine where VLDOCK_ENGINE asks for it. Where it is requested and the model is not eligible, one line is printed
    with the reason.
    """
    if hasattr(model, "_vldock_engine"):
        resident: AnswersQuestions | None = model._vldock_engine
        return resident
    options = inference_options.read_engine(os.environ)
    if options.batch_size is None:
        return None
    from vldock.image.engines import eligibility

    reason = eligibility.refusal(model)
    if reason:
        print(describe_refusal(name, options, reason), flush=True)
        return None
    from vldock.image.engines import disk_features, memory_features
    from vldock.image.engines.batched import BatchedEngine

    return BatchedEngine(
        model,
        batch_size=options.batch_size,
        features=memory_features.shared_store(),
        disk=disk_features.open_for(model),
    )


def describe_refusal(name: str, options: inference_options.Engine, reason: str) -> str:
    """Return the line about a model that the requested engine refuses."""
    cache = ", and the feature cache is not used" if options.feature_cache else ""
    return f"engine {options.describe()}: VLMEvalKit's own loop answers {name} instead{cache}: {reason}"
