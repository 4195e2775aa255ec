"""Flaws of training data, found in one pass.

Each is given by row, with its remedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from vldock.common.errors import InputRefused

SHOWN = 50

# kind -> its remedy; the kinds named in ACCEPTABLE can be accepted instead (data.accept)
REMEDIES = {
    "not-json": "mend the file at the place named; `python -m json.tool FILE` shows it",
    "not-a-list": "write one JSON list of records: [{...}, {...}]",
    "not-a-record": 'write {"id": ..., "image": ..., "conversations": [...]}',
    "missing-key": "add the key",
    "wrong-type": "write text in quotes",
    "unknown-role": 'name the speaker "human" or "gpt"',
    "gpt-first": "remove the first turn; or data.accept=[gpt-first]: it is skipped, as LLaVA's train.py does",
    "role-order": "let human and gpt take turns, human first and gpt last",
    "empty-answer": "write the answer, or remove the record",
    "empty-question": "write the question",
    "image-count": "write <image> once for each image of the record, in its questions only; or, up to one image, "
    "data.accept=[image-count]: one <image>, in front, as LLaVA's train.py does",
    "duplicate-id": "give every record an id of its own; or data.accept=[duplicate-id]",
    "outside": "give a path below data.images, without ..",
    "missing-file": "put the file there, or correct the path; paths are relative to data.images; or, of a JSON file's "
    "records, data.accept=[missing-file]: they are left out",
    "not-a-file": "name an image file, not a folder",
    "no-permission": "chmod a+r the file, or run with --user of its owner",
    "zero-size": "copy the file again: it is empty",
    "corrupt": "copy or download the file again: it cannot be decoded to its end",
    "cmyk": "convert it: magick IN.jpg -colorspace sRGB OUT.jpg; or data.accept=[cmyk]",
    "16-bit": "convert it: magick IN -depth 8 OUT; or data.accept=[16-bit]",
    "animated": "keep one frame: magick 'IN[0]' OUT.png; or data.accept=[animated]",
    "exif-rotated": "turn it: magick IN -auto-orient OUT (evaluation ignores EXIF); or data.accept=[exif-rotated]",
    "huge": "shrink it: magick IN -resize 4096x4096 OUT; or raise data.max_pixels",
    "tiny": "remove it: nothing can be learnt from so few pixels",
    "no-class": "give a label that names a class: 1 to 102, or a name of the data set",
    "no-label": "give every image its label: imagelabels.mat and the images are not of the same set",
}
CONVERTIBLE = ("cmyk", "16-bit", "animated", "exif-rotated")
AS_LLAVA = ("duplicate-id", "gpt-first", "image-count", "missing-file")  # as in LLaVA's own data; of JSON files
ACCEPTABLE = (*CONVERTIBLE, *AS_LLAVA)


@dataclass(frozen=True)
class Flaw:
    """Flaw of one row.

    Row 0 is the file itself; `detail` is the observation.
    `acceptable`: data.accept can allow it.
    """

    row: int
    id: str
    kind: str
    detail: str
    acceptable: bool = False

    def in_kinds(self, accept: Collection[str]) -> bool:
        """Return whether `accept` allows it."""
        return self.acceptable and self.kind in accept

    @property
    def remedy(self) -> str:
        """Advice for the user."""
        return REMEDIES[self.kind]

    def __str__(self) -> str:
        name = f" ({self.id})" if self.id else ""
        return f"row {self.row}{name}: {self.kind}: {self.detail}; cure: {self.remedy}"


class DataRefused(InputRefused):
    """Training data with flaws; the message lists them by row.

    Nothing was trained.
    """

    def __init__(self, flaws: Sequence[Flaw], *, source: str) -> None:
        counts = ", ".join(f"{count} {kind}" for kind, count in Counter(flaw.kind for flaw in flaws).most_common())
        lines = [f"  {flaw}" for flaw in flaws[:SHOWN]]
        lines += [f"  and {len(flaws) - SHOWN} more"] if len(flaws) > SHOWN else []
        super().__init__(
            f"{source}: {len(flaws)} flaws in the data ({counts}); nothing was trained\n" + "\n".join(lines),
            expected="every row whole, every image readable",
            hint=f"mend them all{_instead(flaws)}, then: python -m vldock.image train --check",
        )
        self.flaws = tuple(flaws)


def _instead(flaws: Sequence[Flaw]) -> str:
    """Return the setting that accepts the acceptable flaws."""
    kinds = sorted({flaw.kind for flaw in flaws if flaw.acceptable})
    return f", or accept with data.accept=[{','.join(kinds)}]" if kinds else ""


def refuse(flaws: Iterable[Flaw], *, source: str) -> None:
    """Raise DataRefused where there is a flaw."""
    found = sorted(flaws, key=lambda flaw: (flaw.row, flaw.kind))
    if found:
        raise DataRefused(found, source=source)
