"""Texts with a special meaning to a table or workbook, and random ones of such characters."""

from __future__ import annotations

import random

WORDS = [
    *("=5", "None", "N/A", "NA", "null", "nan", "<NA>", "#N/A", "True", "007", "1", "1.0", "1e5", "+1", "-1", "@x"),
    *("mailto:joe@x.org", "http://x.org/" + "a" * 3000, "internal:Sheet1!A1", "'quoted'", '"quoted"', '{"a": 1}'),
    *("x" * 40_000, "\U0001f600" * 20_000, "", " ", " a ", "\ta\t", "a\r\nb", "a\rb", "a\nb\n", "\x0b\x0c\x1f\x7f\x85"),
    *("_x000D_", "_x005F_x000D_", "x005F_", "_x0041_", "\x00", "a\x00b", "\u2028", "\ufeffa", "\ufffe\uffff", "\ud800"),
    *("&lt;<b>&amp;]]>", "a\tb", "1/2", "#DIV/0!", "Failed to", "\U0010ffff"),
]


def texts(count: int = 300, *, seed: int = 7) -> list[str]:
    """Return WORDS and `count` random texts."""
    chance = random.Random(seed)
    alphabet = "a=_x0D5F\r\n\t \"',;\x00\x1f\ud800\ufffe\U0001f600#N/A"
    return [*WORDS, *("".join(chance.choices(alphabet, k=chance.randint(0, 30))) for _ in range(count))]
