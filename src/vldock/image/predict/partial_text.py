"""How much of an unfinished answer may be shown."""

from __future__ import annotations

BLANKS = (" ", "\n", "\t")
CJK = 0x2E80  # from here on (Unicode blocks) words are not told apart by blanks
UNFINISHED = "\ufffd"  # what a decoder puts for a character of which bytes are missing


def stable_prefix(text: str) -> str:
    """Return the part of an unfinished text that more tokens will not change: up to the last whole word."""
    text = text.rstrip(UNFINISHED)
    words = text.rstrip()
    if not words or ord(words[-1]) >= CJK or words != text:
        return words  # a blank at the end waits: if nothing follows, the answer has none
    return words[: max(words.rfind(blank) for blank in BLANKS) + 1].rstrip()
