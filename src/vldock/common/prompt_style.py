"""Wording of a question by LLaVA's wrapper (VLDOCK_PROMPT)."""

from __future__ import annotations

UPSTREAM = "vlmevalkit"
LLAVA = "llava"
TEMPLATES = (UPSTREAM, LLAVA)
VARIABLE = "VLDOCK_PROMPT"
