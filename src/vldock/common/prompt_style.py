"""How LLaVA's wrapper may word a question (VLDOCK_PROMPT)."""

from __future__ import annotations

UPSTREAM = "vlmevalkit"
LLAVA = "llava"
TEMPLATES = (UPSTREAM, LLAVA)
VARIABLE = "VLDOCK_PROMPT"
