"""Part of an unfinished answer that may be shown."""

from __future__ import annotations

BLANKS = (" ", "\n", "\t")
CJK = 0x2E80  # from here on (Unicode blocks) words are not separated by blanks
UNFINISHED = "\ufffd"  # a decoder's replacement for an incomplete character


def stable_prefix(text: str) -> str:
    """Return the part of an unfinished text that more tokens cannot change.

    It ends with the last whole word.
    """
    text = text.rstrip(UNFINISHED)
    words = text.rstrip()
    if not words or ord(words[-1]) >= CJK or words != text:
        return words  # a blank at the end waits: if nothing follows, the answer has none
    return words[: max(words.rfind(blank) for blank in BLANKS) + 1].rstrip()
