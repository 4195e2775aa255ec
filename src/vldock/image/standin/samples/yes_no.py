"""Samples of the yes-or-no benchmarks: as many Yes as No, and every question has both answers."""

from __future__ import annotations

from collections.abc import Sequence

from vldock.image.standin.samples.sample import Sample

Case = tuple[str, str, str]
THINGS: Sequence[Case] = (
    ("cat", "chelsea", "coffee"),
    ("cup", "coffee", "chelsea"),
    ("person", "astronaut", "rocket"),
    ("flower", "flower", "china"),
    ("building", "china", "flower"),
)


def _pair(question: str, yes: str, no: str) -> list[Sample]:
    return [Sample((yes,), question, "Yes"), Sample((no,), question, "No")]


def _with(sample: Sample, **cells: object) -> Sample:
    return Sample(sample.pictures, sample.question, sample.answer, sample.options, {**sample.cells, **cells})


def pope() -> list[Sample]:
    """Is there a ... in the image; `category` may name several sets, separated by commas."""
    rows = [row for thing, yes, no in THINGS for row in _pair(f"Is there a {thing} in the image?", yes, no)]
    sets = ("random", "popular", "adversarial", "popular,random", "adversarial,popular,random")
    return [_with(row, category=sets[k // 2]) for k, row in enumerate(rows)]


def hallusionbench() -> list[Sample]:
    """Index is category_subcategory_visual_set_figure_question (vlmeval dataset/utils/yorn.py)."""
    cases = (
        ("chart", "Does Thu have the highest bar?", "chart:Mon=12,Tue=30,Wed=21,Thu=46",
         "chart:Mon=44,Tue=18,Wed=27,Thu=9"),
        ("chart", "Is the value of Mon above 40?", "chart:Mon=44,Tue=18,Wed=27,Thu=9",
         "chart:Mon=12,Tue=30,Wed=21,Thu=46"),
        ("figure", "Is the angle ABC a right angle?", "angle:90", "angle:112"),
        ("figure", "Are there exactly four circles?", "dots:4", "dots:5"),
        ("ocr", "Does the sign say HOTEL?", "sign:HOTEL", "sign:TAXI"),
    )  # fmt: skip
    rows = []
    for number, (kind, question, yes, no) in enumerate(cases):
        for figure, row in enumerate(_pair(question, yes, no), start=1):
            index = f"VD_{kind}_1_{number}_{figure}_0"
            rows.append(_with(row, index=index, category="VD", **{"l2-category": kind}))
    return rows


def mme() -> list[Sample]:
    """Two questions a picture, one of them Yes; `image_path` ties the two together."""
    cases = (
        ("existence", "Is there a cat in this image?", "Is there a cup in this image?", "chelsea", "coffee"),
        ("color", "Is the shape red?", "Is the shape blue?", "shape:red circle", "shape:blue square"),
    )
    rows = []
    for category, first, second, one, other in cases:
        for picture, answers in ((one, ("Yes", "No")), (other, ("No", "Yes"))):
            path = f"{category}/{picture.replace(':', '_').replace(' ', '_')}.png"
            for question, answer in zip((first, second), answers, strict=True):
                asked = f"{question} Please answer yes or no."
                rows.append(Sample((picture,), asked, answer, (), {"category": category, "image_path": path}))
    for question, answer in (("Is the word in the sign EXIT?", "Yes"), ("Is the word in the sign CAFE?", "No")):
        cells = {"category": "OCR", "image_path": "OCR/sign_EXIT.png"}
        rows.append(Sample(("sign:EXIT",), f"{question} Please answer yes or no.", answer, (), cells))
    return rows


def naturalbench() -> list[Sample]:
    """Groups of four: question 0 and 1 on picture 0 and 1, in the order NaturalBench scores them."""
    groups = (
        ("Is the animal in the picture a cat?", "Is the animal in the picture a horse?", "chelsea", "horse"),
        ("Is the arrow pointing to the left?", "Is the arrow pointing to the right?", "arrow:left", "arrow:right"),
    )
    rows = []
    for zero, one, first, second in groups:
        for question, answers in ((zero, ("Yes", "No")), (one, ("No", "Yes"))):
            for picture, answer in zip((first, second), answers, strict=True):
                rows.append(Sample((picture,), question, answer, (), {"type": "yes_no"}))
    return rows
