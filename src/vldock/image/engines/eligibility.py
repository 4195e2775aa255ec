"""Eligibility for the batched engine; everything else uses VLMEvalKit's own loop."""

from __future__ import annotations

import os
from typing import Any

from vldock.image.engines import decoding

WRAPPER = ("vlmeval.vlm.llava.llava", "LLaVA")  # llava_v1.5_7b, llava_v1.5_13b, sharegpt4v_7b
ATTENTION = "sdpa"
REMOTE_CODE = {  # why not, by VLMEvalKit's wrapper of a model with remote code
    "InternVLChat": "its language model is remote code that attends eagerly, and the engine runs LLaMA's with SDPA",
    "MiniCPM_V_2_6": "it decodes with 3 beams, and the engine decodes greedily",
    "CogVlm": "its remote code has other weights for image positions, and the engine runs LLaMA's",
}


def refusal(wrapper: Any) -> str | None:
    """Return why the batched engine refuses a wrapper of VLMEvalKit's.

    None if it accepts the wrapper.
    """
    kind = type(wrapper)
    if (kind.__module__, kind.__qualname__) != WRAPPER:
        why = REMOTE_CODE.get(kind.__qualname__)
        return f"it knows VLMEvalKit's LLaVA wrapper, and this is {kind.__qualname__}" + (f": {why}" if why else "")
    if os.environ.get("SKIP_ERR") == "1":
        return "SKIP_ERR=1 asks for one sample at a time"
    config = wrapper.model.config
    attention = getattr(config, "_attn_implementation", None)
    if attention != ATTENTION:
        return f"it computes attention with {ATTENTION}, and this model with {attention}"
    if getattr(config, "pretraining_tp", 1) > 1:
        return f"pretraining_tp={config.pretraining_tp} splits the matrices"
    if (getattr(config, "rope_scaling", None) or {}).get("type") == "dynamic":
        return "dynamic rotary scaling makes a row's positions depend on the longest row"
    if wrapper.model.get_vision_tower() is None:
        return "the model has no vision tower"
    return decoding_refusal(wrapper)


def decoding_refusal(wrapper: Any) -> str | None:
    """Return the generation argument that is not plain greedy decoding.

    None if there is none.
    """
    config, unknown = decoding.generation_config(wrapper.model, dict(wrapper.kwargs))
    mode = wrapper.model._get_generation_mode(config, None).value
    if mode != "greedy_search":
        return f"it decodes greedily, and this is {mode.replace('_', ' ')}"
    if unknown:
        return f"it does not know the argument {', '.join(sorted(unknown))}"
    if config.bos_token_id is None:
        return "the model has no start token"
    unsupported = {
        "max_time": config.max_time,
        "guidance_scale": config.guidance_scale not in (None, 1) or None,
        "encoder_no_repeat_ngram_size": config.encoder_no_repeat_ngram_size or None,
        "encoder_repetition_penalty": config.encoder_repetition_penalty != 1.0 or None,
        "return_dict_in_generate": config.return_dict_in_generate or None,
        "use_cache=False": not config.use_cache or None,
    }
    found = [name for name, value in unsupported.items() if value is not None]
    return f"it does not do {', '.join(found)}" if found else None
