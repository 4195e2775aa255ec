"""Real photographs that ship inside the scikit-image and scikit-learn wheels, cut small.

Only freely licensed ones are named here (SOURCES.md has author, licence and origin of each); nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

Size = tuple[int, int]
LANDSCAPE: Size = (240, 168)
PORTRAIT: Size = (160, 232)


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture inside a wheel, and the part of it to keep.

    `box` is left, upper, right, lower as fractions of width and height; `size` is in pixels after the cut. Sizes are
    not square on purpose: a pipeline that forgets to pad must not see what the stand-ins saw.
    """

    package: str
    file: str
    size: Size
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)


SKIMAGE = "skimage/data"
SKLEARN = "sklearn/datasets/images"

PHOTOS: Mapping[str, Photo] = {
    "astronaut": Photo(SKIMAGE, "astronaut.png", PORTRAIT, (0.15, 0.0, 0.75, 0.85)),
    "brick": Photo(SKIMAGE, "brick.png", LANDSCAPE, (0.0, 0.0, 0.6, 0.42)),
    "camera": Photo(SKIMAGE, "camera.png", PORTRAIT, (0.1, 0.0, 0.72, 0.9)),
    "cell": Photo(SKIMAGE, "cell.png", PORTRAIT),
    "chelsea": Photo(SKIMAGE, "chelsea.png", LANDSCAPE),
    "china": Photo(SKLEARN, "china.jpg", LANDSCAPE),
    "clock": Photo(SKIMAGE, "clock_motion.png", LANDSCAPE),
    "coffee": Photo(SKIMAGE, "coffee.png", LANDSCAPE),
    "coins": Photo(SKIMAGE, "coins.png", LANDSCAPE, (0.0, 0.2, 0.6, 0.8)),
    "flower": Photo(SKLEARN, "flower.jpg", LANDSCAPE),
    "grass": Photo(SKIMAGE, "grass.png", LANDSCAPE, (0.0, 0.0, 0.5, 0.35)),
    "gravel": Photo(SKIMAGE, "gravel.png", PORTRAIT, (0.0, 0.0, 0.35, 0.5)),
    "hubble": Photo(SKIMAGE, "hubble_deep_field.jpg", LANDSCAPE, (0.2, 0.2, 0.6, 0.5)),
    "horse": Photo(SKIMAGE, "horse.png", LANDSCAPE),
    "retina": Photo(SKIMAGE, "retina.jpg", LANDSCAPE, (0.0, 0.15, 1.0, 0.85)),
    "rocket": Photo(SKIMAGE, "rocket.jpg", LANDSCAPE),
    "tissue": Photo(SKIMAGE, "ihc.png", LANDSCAPE, (0.0, 0.0, 0.8, 0.55)),
}


def find_photo(photo: Photo) -> Path:
    """Return the file inside the installed wheel, without importing the package.

    Raises:
        FileNotFoundError: the wheel is not installed or no longer ships the file.
    """
    package, _, folder = photo.package.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{package} is not installed; the recipe needs locks/standin.nodeps.in")
    path = Path(spec.origin).parent / folder / photo.file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing from the {package} wheel")
    return path


def load_photo(name: str) -> Image.Image:
    """Return the named photograph as RGB, cut and resized."""
    photo = PHOTOS[name]
    with Image.open(find_photo(photo)) as opened:
        image = opened.convert("RGB")
    left, upper, right, lower = photo.box
    box = (left * image.width, upper * image.height, right * image.width, lower * image.height)
    return image.resize(photo.size, Image.Resampling.LANCZOS, box=box)
