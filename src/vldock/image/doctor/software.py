"""Checks of installed software: lock, patches, LLaVA's import, attention in use."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from vldock.common.check import Check
from vldock.common.image_paths import LLAVA, LOCK, PATCHES, VLMEVALKIT
from vldock.image.build.prove import normalise, parse_locked

REBUILD = "start from a fresh container, or rebuild the image"
IMPORT_LLAVA = "import llava; from llava.model import LlavaLlamaForCausalLM; print(llava.__file__)"


def check_versions(lock: Path = Path(LOCK)) -> list[Check]:
    """Compare every locked distribution with the installed one."""
    if not lock.is_file():
        return [Check("versions", "fail", f"no lock at {lock}", "the image's lock", REBUILD)]
    wanted = parse_locked(lock.read_text(encoding="utf-8"))
    found = {normalise(dist.name): dist.version for dist in distributions()}
    wrong = [
        f"{name} {found.get(name, 'absent')}, locked {pin}" for name, pin in wanted.items() if found.get(name) != pin
    ]
    if wrong:
        seen = "; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        return [Check("versions", "fail", seen, f"the {len(wanted)} distributions of the lock", REBUILD)]
    main = ", ".join(f"{name} {wanted[name]}" for name in ("torch", "transformers", "llava-torch", "ms-vlmeval"))
    return [Check("versions", "ok", f"{len(wanted)} distributions as locked ({main})")]


def check_patches(patches: Path = Path(PATCHES)) -> list[Check]:
    """Check that every patch is applied."""
    script = patches / "apply_all.py"
    if not script.is_file():
        return [Check("patches", "fail", f"no {script}", "the image's patches", REBUILD)]
    command = [sys.executable, str(script), "--check", "--json", "--llava", LLAVA, "--vlmeval", VLMEVALKIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    report = json.loads(done.stdout or "{}")
    states = report.get("patches", {})
    if done.returncode == 0 and states:
        return [Check("patches", "ok", f"{len(states)} applied")]
    away = [f"{name} {state}" for name, state in states.items() if state != "applied"]
    seen = report.get("error") or "; ".join(away) or done.stderr.strip()[-300:]
    return [Check("patches", "fail", seen, "every patch applied", f"python {script} says more; or {REBUILD}")]


def check_llava() -> list[Check]:
    """Check that LLaVA's model can be imported.

    A fresh process imports it, so that the real cause of a failure is shown.
    """
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_LLAVA], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode == 0:
        return [Check("import llava", "ok", f"LlavaLlamaForCausalLM from {Path(done.stdout.strip()).parent}")]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return [
        Check(
            "import llava", "fail", lines[-1] if lines else f"exit {done.returncode}", "LlavaLlamaForCausalLM", REBUILD
        )
    ]


def check_flash_attn() -> list[Check]:
    """Check that flash-attn is absent or importable.

    A broken one surfaces only on a machine with a GPU.
    """
    if importlib.util.find_spec("flash_attn") is None:
        return [Check("flash_attn", "ok", "absent, as built: PyTorch's SDPA is used")]
    done = subprocess.run([sys.executable, "-c", "import flash_attn"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [Check("flash_attn", "warn", "installed", "absent: nothing of the image calls it")]
    cause = done.stderr.strip().splitlines()[-1]
    return [Check("flash_attn", "fail", f"installed and broken: {cause}", "absent", "pip uninstall flash-attn")]


def check_attention() -> list[Check]:
    """Check that two steps of a tiny LLaMA use SDPA.

    The calls of scaled_dot_product_attention are counted.
    """
    calls, expected = count_sdpa_calls(layers=2, steps=2)
    if calls == expected:
        return [Check("attention", "ok", f"SDPA: {calls} calls for 2 layers x 2 steps")]
    return [Check("attention", "fail", f"SDPA was called {calls} times", f"{expected} calls", REBUILD)]


def count_sdpa_calls(*, layers: int, steps: int, attention: str | None = None) -> tuple[int, int]:
    """Return the actual and expected attention calls of a tiny generate().

    (calls counted, layers x steps) of F.scaled_dot_product_attention in generate() of a tiny random LLaMA.
    `attention` None leaves the choice to transformers, as LLaVA's loading does.
    """
    import torch
    import torch.nn.functional as functional
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=2,
        bos_token_id=1, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    options = {} if attention is None else {"attn_implementation": attention}
    model = LlamaForCausalLM._from_config(config, **options).eval()
    seen: list[None] = []
    kept = functional.scaled_dot_product_attention

    def counted(*args: object, **kwargs: object) -> object:
        seen.append(None)
        return kept(*args, **kwargs)

    functional.scaled_dot_product_attention = counted
    try:
        with torch.inference_mode():
            model.generate(torch.tensor([[1, 5, 6]]), max_new_tokens=steps, do_sample=False)
    finally:
        functional.scaled_dot_product_attention = kept
    return len(seen), layers * steps
