"""Drawn pictures: shapes, counts, signs, plates, charts, documents, infographics, diagrams, lights, angles.

Each function returns an RGB image that is not square. Names are what samples.py asks for, for example
"shape:red circle" or "sign:OPEN"; `draw` finds the function by what stands before the colon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw, ImageFont

from vldock.image.standin.pictures.hangul import draw_hangul

WIDE = (240, 150)
TALL = (150, 230)
INK = (30, 30, 40)
COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "blue": (40, 80, 200),
    "green": (40, 150, 70),
    "yellow": (245, 200, 40),
    "purple": (130, 60, 170),
    "orange": (240, 130, 30),
    "white": (250, 250, 250),
    "black": (20, 20, 20),
}


def _canvas(size: tuple[int, int], color: tuple[int, int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", size, color)
    return image, ImageDraw.Draw(image)


def _text(pen: ImageDraw.ImageDraw, at: tuple[float, float], words: str, size: int, color: object = INK) -> None:
    pen.text(at, words, font=ImageFont.load_default(size), fill=color, anchor="mm")


def _polygon(center: tuple[float, float], radius: float, corners: int, turn: float) -> list[tuple[float, float]]:
    angles = [turn + 2 * math.pi * k / corners for k in range(corners)]
    return [(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a)) for a in angles]


def draw_shape(what: str) -> Image.Image:
    """`what` is a colour and a form, for example "red circle"."""
    color, form = what.split()
    image, pen = _canvas(WIDE, (238, 236, 228))
    middle, radius, fill = (120.0, 75.0), 58.0, COLORS[color]
    if form == "circle":
        pen.ellipse((62, 17, 178, 133), fill=fill, outline=INK, width=3)
    elif form == "star":
        outer, inner = _polygon(middle, radius, 5, -math.pi / 2), _polygon(middle, radius * 0.42, 5, -0.3 * math.pi)
        pen.polygon([p for pair in zip(outer, inner, strict=True) for p in pair], fill=fill, outline=INK, width=3)
    else:
        corners, turn = {"triangle": (3, -math.pi / 2), "square": (4, math.pi / 4), "hexagon": (6, 0.0)}[form]
        pen.polygon(_polygon(middle, radius, corners, turn), fill=fill, outline=INK, width=3)
    return image


def draw_dots(what: str) -> Image.Image:
    """`what` is how many dots."""
    count = int(what)
    image, pen = _canvas(WIDE, (225, 232, 240))
    for k in range(count):
        x, y = 35 + (k % 3) * 82 + (k // 3) * 9, 42 + (k // 3) * 64
        pen.ellipse((x - 22, y - 22, x + 22, y + 22), fill=(176, 60, 90), outline=INK, width=2)
    return image


def draw_sign(what: str) -> Image.Image:
    """`what` is the word on the sign; its colours follow from the word."""
    paints = [c for c in COLORS.values() if c != COLORS["white"]]
    image, pen = _canvas((250, 120), (196, 208, 214))
    fill = paints[sum(map(ord, what)) % len(paints)]
    pen.rounded_rectangle((12, 14, 238, 106), radius=14, fill=fill, outline=(250, 250, 250), width=5)
    _text(pen, (125, 60), what, 52, (255, 255, 255) if fill != COLORS["yellow"] else INK)
    return image


def draw_plate(what: str) -> Image.Image:
    """`what` is the number on the plate."""
    image, pen = _canvas((250, 130), (90, 96, 104))
    pen.rounded_rectangle((10, 28, 240, 102), radius=8, fill=(250, 248, 236), outline=(20, 40, 120), width=5)
    _text(pen, (125, 66), what, 56)
    return image


def draw_chart(what: str) -> Image.Image:
    """`what` is a list of label=value, for example "Mon=12,Tue=30"."""
    bars = [(label, int(value)) for label, _, value in (part.partition("=") for part in what.split(","))]
    image, pen = _canvas((240, 170), (255, 255, 255))
    pen.line((20, 10, 20, 145, 232, 145), fill=INK, width=2)
    for (label, value), left, color in zip(bars, range(34, 240, 52), list(COLORS.values()), strict=False):
        pen.rectangle((left, 145 - 2.6 * value, left + 34, 144), fill=color)
        _text(pen, (left + 17, 157), label, 15)
        _text(pen, (left + 17, 137 - 2.6 * value), str(value), 13)
    return image


def draw_document(what: str) -> Image.Image:
    """`what` is the lines of a letter or receipt, separated by "|"; the first is the heading."""
    heading, *lines = what.split("|")
    image, pen = _canvas(TALL, (252, 251, 246))
    pen.rectangle((0, 0, 149, 34), fill=COLORS["blue"] if len(heading) % 2 else COLORS["purple"])
    _text(pen, (75, 18), heading, 18, (255, 255, 255))
    for row, line in enumerate(lines):
        _text(pen, (75, 62 + 30 * row), line, 16)
        pen.line((14, 78 + 30 * row, 136, 78 + 30 * row), fill=(170, 170, 160), width=1)
    pen.ellipse((96, 186, 132, 222), outline=COLORS["red"], width=3)
    return image


def draw_info(what: str) -> Image.Image:
    """`what` is title and percentage, for example "Recycling=70"."""
    title, _, percent = what.partition("=")
    image, pen = _canvas(TALL, (244, 240, 220))
    pen.rectangle((0, 0, 149, 40), fill=COLORS["green"])
    _text(pen, (75, 21), title, 20, (255, 255, 255))
    pen.ellipse((20, 66, 130, 176), fill=(205, 205, 195))
    pen.pieslice((20, 66, 130, 176), -90, -90 + 3.6 * int(percent), fill=COLORS["orange"])
    pen.ellipse((44, 90, 106, 152), fill=(244, 240, 220))
    _text(pen, (75, 121), f"{percent}%", 22)
    return image


def draw_chain(what: str) -> Image.Image:
    """`what` is a food chain, for example "grass>rabbit>fox"."""
    image, pen = _canvas((260, 130), (250, 250, 255))
    for k, word in enumerate(what.split(">")):
        left = 6 + 88 * k
        fill = tuple(150 + (37 * ord(letter)) % 106 for letter in word[:3])
        pen.rectangle((left, 34 + 12 * k, left + 70, 84 + 12 * k), fill=fill, outline=INK, width=2)
        _text(pen, (left + 35, 59 + 12 * k), word, 17)
        if k:
            pen.line((left - 16, 65, left - 3, 65), fill=COLORS["red"], width=4)
            pen.polygon([(left - 8, 58), (left + 1, 65), (left - 8, 72)], fill=COLORS["red"])
    return image


def draw_light(what: str) -> Image.Image:
    """A traffic light; `what` is the colour that is on."""
    image, pen = _canvas(TALL, (150, 190, 222))
    pen.rectangle((40, 14, 110, 198), fill=(40, 42, 46))
    pen.rectangle((66, 198, 84, 230), fill=(80, 80, 80))
    for y, color in ((44, "red"), (106, "yellow"), (168, "green")):
        fill = COLORS[color] if color == what else (70, 70, 66)
        pen.ellipse((50, y - 26, 100, y + 24), fill=fill)
    return image


def draw_arrow(what: str) -> Image.Image:
    """A road arrow; `what` is where it points."""
    image, pen = _canvas(WIDE, (72, 76, 80))
    turn = {"right": 0.0, "down": 0.5, "left": 1.0, "up": 1.5}[what] * math.pi
    points = [(60, 0), (10, -45), (10, -18), (-60, -18), (-60, 18), (10, 18), (10, 45)]
    spin = [(x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)) for x, y in points]
    pen.polygon([(120 + x, 75 + y) for x, y in spin], fill=(250, 250, 250))
    return image


def draw_angle(what: str) -> Image.Image:
    """An angle with its corner named B; `what` is its size in degrees."""
    image, pen = _canvas((240, 160), (255, 255, 255))
    turn = math.radians(int(what))
    end = (110 + 100 * math.cos(turn), 132 - 100 * math.sin(turn))
    pen.line((228, 132, 110, 132, *end), fill=INK, width=4)
    for name, (x, y) in {"C": (228, 148), "B": (106, 148), "A": (end[0] - 14, max(14.0, end[1]))}.items():
        _text(pen, (x, y), name, 20, COLORS["blue"])
    return image


def draw_formula(what: str) -> Image.Image:
    """A formula, drawn large."""
    image, pen = _canvas((250, 110), (250, 249, 242))
    _text(pen, (125, 55), what, 48, (24, 40, 110))
    return image


PAINTERS: Mapping[str, Callable[[str], Image.Image]] = {
    "shape": draw_shape,
    "dots": draw_dots,
    "sign": draw_sign,
    "plate": draw_plate,
    "chart": draw_chart,
    "document": draw_document,
    "info": draw_info,
    "chain": draw_chain,
    "light": draw_light,
    "arrow": draw_arrow,
    "angle": draw_angle,
    "formula": draw_formula,
    "hangul": draw_hangul,
}


def draw(name: str) -> Image.Image:
    """Return the picture called `name` ("kind:what").

    Raises:
        KeyError: no painter for that kind.
    """
    kind, _, what = name.partition(":")
    return PAINTERS[kind](what)
