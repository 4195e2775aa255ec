"""Drawn scenes: three shapes, an instruction that names one, and its action.

An action is (x, y, side), each within -1..1: where the named shape stands, and on which side to go by it.
"reach" has one right action, its side is 0. "pass" has two: 0.8 to the left or to the right, each as often as the
other, and straight through the shape is wrong. The mean of the actions shown does just that.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from vldock.common.filesystem.atomic import write_json

SIZE, RADIUS = 336, 30
SIDE = 0.8
COLORS = {"red": (214, 40, 40), "blue": (40, 80, 200), "green": (40, 150, 70), "yellow": (240, 200, 40)}
SHAPES = ("circle", "square", "triangle")
VERBS = ("reach", "pass")
VOCABULARY = (*VERBS, "the", *COLORS, *SHAPES)


@dataclass(frozen=True)
class Scene:
    """Contents of a picture, instruction, and action (x, y, side)."""

    shapes: tuple[tuple[str, str, float, float], ...]
    instruction: str
    action: tuple[float, float, float]


def draw_scene(chance: random.Random) -> Scene:
    """Return a drawn scene: three separate shapes of different colours."""
    places: list[tuple[float, float]] = []
    edge = 1 - 2 * RADIUS / SIZE
    while len(places) < 3:
        place = (chance.uniform(-edge, edge), chance.uniform(-edge, edge))
        if all(math.dist(place, other) > 4.4 * RADIUS / SIZE for other in places):
            places.append(place)
    colors = chance.sample(list(COLORS), 3)
    shapes = tuple((color, chance.choice(SHAPES), x, y) for color, (x, y) in zip(colors, places, strict=True))
    color, shape, x, y = shapes[0]
    verb = chance.choice(VERBS)
    side = chance.choice((-SIDE, SIDE)) if verb == "pass" else 0.0
    return Scene(shapes, f"{verb} the {color} {shape}", (x, y, side))


def render(scene: Scene) -> Image.Image:
    """Return the picture, RGB, SIZE pixels square."""
    image = Image.new("RGB", (SIZE, SIZE), (236, 234, 226))
    pen = ImageDraw.Draw(image)
    for color, shape, x, y in scene.shapes:
        cx, cy = (x + 1) * SIZE / 2, (y + 1) * SIZE / 2
        box = (cx - RADIUS, cy - RADIUS, cx + RADIUS, cy + RADIUS)
        if shape == "circle":
            pen.ellipse(box, fill=COLORS[color])
        else:
            turn = (4, 45) if shape == "square" else (3, 0)
            pen.regular_polygon((cx, cy, RADIUS), turn[0], rotation=turn[1] % 90, fill=COLORS[color])
    return image


def write(folder: Path, *, train: int, held_out: int, seed: int) -> dict[str, Path]:
    """Draw the data set below `folder`, unless it exists; return its files.

    They are {"train": file, "held-out": file}.

    A file is a JSON list of {id, image, instruction, action}; a row's place in it is its vlm_idx.
    """
    wanted = {"train": train, "held-out": held_out, "seed": seed}
    files = {name: folder / f"{name}.json" for name in ("train", "held-out")}
    note = folder / "made.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == wanted:
        return files
    chance = random.Random(seed)
    for name, path in files.items():
        rows = []
        for index in range(wanted[name]):
            scene, picture = draw_scene(chance), f"images/{name}-{index:05}.png"
            (folder / picture).parent.mkdir(parents=True, exist_ok=True)
            render(scene).save(folder / picture)
            rows.append({"id": index, "image": picture, "instruction": scene.instruction, "action": list(scene.action)})
        write_json(path, rows)
    write_json(note, wanted)
    return files
