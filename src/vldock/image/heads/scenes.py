"""Drawn episodes, as the user's own would be: three shapes, an instruction that names one, moves of a hand.

The hand is the state, (x, y) within -1..1; the camera does not see it. An action is (dx, dy, side): half the way from
the hand to the named shape, and on which side to go by it. "reach" has one right action, its side is 0. "pass" has
two: 0.8 to the left or to the right, each as often as the other, and straight through the shape is wrong; the mean of
the actions shown does just that. Held-out episodes have their own scenes and their own wordings.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from vldock.common.errors import UsageError
from vldock.common.filesystem.atomic import path_beside, write_bytes

SIZE, RADIUS = 336, 30
SIDE = 0.8
COLORS = {"red": (214, 40, 40), "blue": (40, 80, 200), "green": (40, 150, 70), "yellow": (240, 200, 40)}
SHAPES = ("circle", "square", "triangle")
SYNONYMS = {"circle": "disc", "square": "box", "triangle": "triangle"}
WORDINGS = {
    "reach": (
        "reach the {color} {shape}", "go to the {color} {shape}", "move to the {color} {shape}",
        "touch the {color} {other}", "reach for the {other} that is {color}", "move over to the {color} one",
    ),
    "pass": (
        "pass the {color} {shape}", "go past the {color} {shape}", "move around the {color} {shape}",
        "drive by the {color} {other}", "pass around the {other} that is {color}", "move on past the {color} one",
    ),
}  # fmt: skip
HELD_OUT = {
    "reach": ("now go to the {color} {other}, please", "touch the {shape} that is {color}", "go to the {color} one"),
    "pass": ("now go past the {color} {other}, please", "drive by the {shape} that is {color}", "pass the {color} one"),
}  # fmt: skip
ROWS = "rows.jsonl"


@dataclass(frozen=True)
class Scene:
    """Contents of a picture, instruction, place of the named shape, and whether to pass it."""

    shapes: tuple[tuple[str, str, float, float], ...]
    instruction: str
    target: tuple[float, float]
    passes: bool


def draw_scene(chance: random.Random, *, held_out: bool = False) -> Scene:
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
    verb = chance.choice(tuple(WORDINGS))
    said = chance.choice((HELD_OUT if held_out else WORDINGS)[verb])
    return Scene(shapes, said.format(color=color, shape=shape, other=SYNONYMS[shape]), (x, y), verb == "pass")


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


def write(folder: Path, *, episodes: int, steps: int, held_out: float, seed: int) -> Path:
    """Draw the data set in a folder of its own below `folder`, unless it is there; return it.

    Raises UsageError where something else stands in its place, or for a number that gives no episodes.
    """
    if episodes < 2 or steps < 1 or not 0 < held_out < 1:
        raise UsageError(
            f"data.episodes {episodes}, data.steps {steps}, data.held_out {held_out}",
            expected="2 or more, 1 or more, and a share between 0 and 1",
        )
    wanted = {"drawn": "scenes", "episodes": episodes, "steps": steps, "held_out": held_out, "seed": seed}
    place = folder / f"scenes-{episodes}x{steps}-{held_out:g}-{seed}"
    note = place / "made.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == wanted:
        return place
    if place.exists():
        raise UsageError(
            f"{place} is there and not what this command draws",
            expected="no such folder: nothing is overwritten",
            hint="--set data.folder=ANOTHER, or data.path for your own episodes",
        )
    folder.mkdir(parents=True, exist_ok=True)
    aside = path_beside(place, ".tmp")
    try:
        _draw(aside, episodes=episodes, steps=steps, learned=episodes - max(1, round(episodes * held_out)), seed=seed)
        (aside / "made.json").write_text(json.dumps(wanted), encoding="utf-8")
        aside.rename(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place


def _draw(folder: Path, *, episodes: int, steps: int, learned: int, seed: int) -> None:
    chance, lines = random.Random(seed), []
    (folder / "images").mkdir(parents=True)
    for number in range(episodes):
        scene, picture = draw_scene(chance, held_out=number >= learned), f"images/{number:05}.png"
        render(scene).save(folder / picture)
        row = {"episode": f"{number:05}", "image": picture, "instruction": scene.instruction}
        row["split"] = "train" if number < learned else "held-out"
        x, y = chance.uniform(-1, 1), chance.uniform(-1, 1)
        for _ in range(steps):
            dx, dy = (scene.target[0] - x) / 2, (scene.target[1] - y) / 2
            side = chance.choice((-SIDE, SIDE)) if scene.passes else 0.0
            lines.append(json.dumps(row | {"state": [x, y], "action": [dx, dy, side]}))
            x, y = x + dx, y + dy
    write_bytes(folder / ROWS, ("\n".join(lines) + "\n").encode())
