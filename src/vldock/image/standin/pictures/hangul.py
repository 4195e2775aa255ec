"""Hangul drawn from strokes, so that Korean pictures need no Korean font.

A syllable is a grid of jamo: lead consonant, vowel, optional final consonant. Strokes are polylines on a unit square,
y downwards. Only the jamo the samples use are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
Box = tuple[float, float, float, float]

LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
BELOW = "ㅗㅛㅜㅠㅡ"

CIRCLE: Sequence[Point] = [(0.5, 0.1), (0.84, 0.24), (0.9, 0.5), (0.76, 0.8), (0.5, 0.9), (0.2, 0.78), (0.1, 0.5),
                           (0.2, 0.22), (0.5, 0.1)]  # fmt: skip
STROKES: Mapping[str, Sequence[Sequence[Point]]] = {
    "ㄱ": [[(0.1, 0.15), (0.9, 0.15), (0.8, 0.9)]],
    "ㄴ": [[(0.15, 0.1), (0.15, 0.85), (0.9, 0.85)]],
    "ㄷ": [[(0.9, 0.12), (0.12, 0.12), (0.12, 0.88), (0.9, 0.88)]],
    "ㄹ": [[(0.1, 0.1), (0.9, 0.1), (0.9, 0.5), (0.1, 0.5), (0.1, 0.9), (0.9, 0.9)]],
    "ㅁ": [[(0.12, 0.12), (0.88, 0.12), (0.88, 0.88), (0.12, 0.88), (0.12, 0.12)]],
    "ㅂ": [[(0.15, 0.1), (0.15, 0.9), (0.85, 0.9), (0.85, 0.1)], [(0.15, 0.5), (0.85, 0.5)]],
    "ㅅ": [[(0.5, 0.1), (0.1, 0.9)], [(0.5, 0.35), (0.9, 0.9)]],
    "ㅇ": [CIRCLE],
    "ㅈ": [[(0.1, 0.15), (0.9, 0.15), (0.1, 0.9)], [(0.5, 0.5), (0.9, 0.9)]],
    "ㅎ": [[(0.4, 0.02), (0.6, 0.02)], [(0.1, 0.2), (0.9, 0.2)],
           [(0.5, 0.35), (0.8, 0.62), (0.5, 0.92), (0.2, 0.62), (0.5, 0.35)]],
    "ㅏ": [[(0.35, 0.0), (0.35, 1.0)], [(0.35, 0.5), (0.9, 0.5)]],
    "ㅓ": [[(0.65, 0.0), (0.65, 1.0)], [(0.1, 0.5), (0.65, 0.5)]],
    "ㅣ": [[(0.5, 0.0), (0.5, 1.0)]],
    "ㅗ": [[(0.0, 0.8), (1.0, 0.8)], [(0.5, 0.1), (0.5, 0.8)]],
    "ㅜ": [[(0.0, 0.2), (1.0, 0.2)], [(0.5, 0.2), (0.5, 0.95)]],
    "ㅡ": [[(0.0, 0.5), (1.0, 0.5)]],
}  # fmt: skip


def split_syllable(syllable: str) -> tuple[str, str, str]:
    """Return lead, vowel and final jamo ("" for none) of one precomposed syllable (Unicode 3.12)."""
    code = ord(syllable) - 0xAC00
    lead, rest = divmod(code, 588)
    vowel, final = divmod(rest, 28)
    return LEADS[lead], VOWELS[vowel], FINALS[final].strip()


def _place(pen: ImageDraw.ImageDraw, jamo: str, box: Box) -> None:
    left, top, right, bottom = box
    for line in STROKES[jamo]:
        points = [(left + x * (right - left), top + y * (bottom - top)) for x, y in line]
        pen.line(points, fill=(25, 30, 70), width=6, joint="curve")


def draw_hangul(what: str) -> Image.Image:
    """Draw two or three syllables side by side on a canvas that is not square."""
    image = Image.new("RGB", (250, 120), (240, 233, 214))
    pen = ImageDraw.Draw(image)
    pen.rectangle((4, 4, 245, 115), outline=(150, 60, 50), width=4)
    cell = 226 / len(what)
    for k, syllable in enumerate(what):
        lead, vowel, final = split_syllable(syllable)
        left, right = 14 + cell * k, 4 + cell * (k + 1)
        floor = 66.0 if final else 102.0
        width = right - left
        if vowel in BELOW:
            half = 18 + (floor - 18) * 0.5
            _place(pen, lead, (left + 0.2 * width, 18, right - 0.2 * width, half))
            _place(pen, vowel, (left, half + 3, right, floor))
        else:
            _place(pen, lead, (left, 20, left + 0.52 * width, floor))
            _place(pen, vowel, (left + 0.6 * width, 18, right, floor))
        if final:
            _place(pen, final, (left + 0.15 * width, 74, right - 0.15 * width, 106))
    return image
