"""Choice of the judge.

Exact matching where the default judge has no key.
No file is named after a judge that did not run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from vldock.common.errors import InputRefused, UsageError

EXACT = "exact_matching"
LOCAL_JUDGES = ("llama31-8b",)
SILICONFLOW = ("qwen-7b", "qwen-72b", "deepseek")
FALLS_BACK = ("MCQ", "Y/N", "MCQ_MMMU_Pro")
# By the first fragment found in the judge's name: the variable VLMEvalKit's OpenAIWrapper reads.
KEY_VARIABLES = {
    "step": "STEPAI_API_KEY",
    "yi-vision": "YI_API_KEY",
    "internvl2-pro": "InternVL2_PRO_KEY",
    "abab": "MiniMax_API_KEY",
    "moonshot": "MOONSHOT_API_KEY",
    "grok": "XAI_API_KEY",
    "ernie": "BAIDU_API_KEY",
}
_printed: set[str] = set()
_answering: dict[str, bool] = {}


def key_variable(judge: str) -> str | None:
    """Return the environment variable with the key of `judge`.

    None if `judge` needs no key.
    """
    if judge == EXACT or judge in LOCAL_JUDGES:
        return None
    if judge in SILICONFLOW:
        return "SiliconFlow_API_KEY"
    return next((name for part, name in KEY_VARIABLES.items() if part in judge), "OPENAI_API_KEY")


def has_key(judge: str, options: Mapping[str, Any], env: Mapping[str, str]) -> bool:
    """Return whether `judge` can be called.

    It can if it needs no key, has one, or has a custom address.
    """
    variable = key_variable(judge)
    own_server = options.get("api_base") or env.get("OPENAI_API_BASE") or env.get("LOCAL_LLM")
    return variable is None or bool(options.get("key") or env.get(variable) or own_server)


def require_key(args: Any, env: Mapping[str, str] | None = None) -> None:
    """Raise UsageError if the key of --judge is missing."""
    env = os.environ if env is None else env
    judge = getattr(args, "judge", None)
    if judge is None:
        return
    options = {**json.loads(args.judge_args or "{}")}
    options.setdefault("key", args.judge_key)
    options.setdefault("api_base", args.judge_base_url)
    if not has_key(judge, options, env):
        raise UsageError(
            f"--judge {judge} needs a key and {key_variable(judge)} is not set",
            hint=f"put {key_variable(judge)}=... in .env, or use --judge {EXACT}",
        )


def choose(options: dict[str, Any], *, requested: str | None, benchmark: str, kind: str) -> dict[str, Any]:
    """Return the options of the chosen judge.

    A default judge that cannot be called becomes exact matching for benchmarks that support it; others raise
    InputRefused, as does a judge named with --judge that does not answer.
    """
    judge = options.get("model")
    if judge in (None, "", EXACT):
        return options
    if has_key(judge, options, os.environ):
        if kind not in FALLS_BACK or _answers(options):
            return options
        why = f"the judge {judge} does not answer"
    else:
        why = f"no {key_variable(judge)} is set for the judge {judge}"
    if requested is not None or kind not in FALLS_BACK:
        raise InputRefused(f"{benchmark}: {why}", hint=f"set {key_variable(judge)} in .env, or name another --judge")
    if why not in _printed:
        _printed.add(why)
        print(f"judge: {EXACT}, because {why}", flush=True)
    return {**options, "model": EXACT}


def _answers(options: Mapping[str, Any]) -> bool:
    """Return whether the judge answers, asked once per judge and address.

    VLMEvalKit itself falls back silently when there is no answer.
    """
    from vlmeval.dataset.utils import build_judge

    name = f"{options['model']} {options.get('api_base', '')}"
    if name not in _answering:
        _answering[name] = bool(build_judge(**{**options, "retry": 1}).working())
    return _answering[name]
