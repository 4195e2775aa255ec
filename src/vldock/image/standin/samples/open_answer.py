"""Samples of the benchmarks with open answers, English and Korean."""

from __future__ import annotations

from collections.abc import Mapping

from vldock.image.standin.samples.multiple_choice import CHARTS
from vldock.image.standin.samples.sample import Sample, ask_over

SIGNS = ("OPEN", "EXIT", "CAFE", "SALE", "HOTEL", "TAXI")
PLATES = ("4827", "1093", "7561", "2640")
DOCUMENTS: Mapping[str, tuple[str, str]] = {
    "document:INVOICE|Date 3 May|Total 48|Name Kim": ("3 May", "48"),
    "document:LETTER|Date 9 July|Total 125|Name Park": ("9 July", "125"),
    "document:RECEIPT|Date 21 June|Total 16|Name Lee": ("21 June", "16"),
    "document:TICKET|Date 30 March|Total 72|Name Cho": ("30 March", "72"),
    "document:ORDER|Date 14 August|Total 910|Name Yoon": ("14 August", "910"),
}
INFOS = {
    "info:Recycling=70": ("Recycling", "70%"),
    "info:Water=45": ("Water", "45%"),
    "info:Sleep=33": ("Sleep", "33%"),
    "info:Energy=88": ("Energy", "88%"),
    "info:Travel=12": ("Travel", "12%"),
}
SHAPES = ("red circle", "blue square", "green triangle", "yellow star", "purple hexagon")
WORDS = ("서울", "도로", "공항", "시장", "우리", "나무", "바다", "거리", "사람", "문")


def textvqa() -> list[Sample]:
    """Signs and number plates."""
    signs = ask_over("what does the sign say?", {f"sign:{word}": word.lower() for word in SIGNS})
    plates = ask_over("what is the number on the plate?", {f"plate:{number}": number for number in PLATES})
    return [*signs[:2], *plates[:2], *signs[2:], *plates[2:]]


def gqa() -> list[Sample]:
    """Colour and form of one shape."""
    color = ask_over("What color is the shape?", {f"shape:{s}": s.split()[0] for s in SHAPES})
    form = ask_over("Which shape is it?", {f"shape:{s}": s.split()[1] for s in SHAPES})
    return [*color, *form]


def docvqa() -> list[Sample]:
    """Date and total of five letters and receipts."""
    date = ask_over("What is the date in the document?", {name: seen[0] for name, seen in DOCUMENTS.items()})
    total = ask_over("What is the total amount?", {name: seen[1] for name, seen in DOCUMENTS.items()})
    return [*date, *total]


def chartqa() -> list[Sample]:
    """The tallest bar's label and value."""
    tallest = {c: max(c[6:].split(","), key=lambda bar: int(bar.split("=")[1])).split("=") for c in CHARTS}
    label = ask_over("Which day has the highest bar?", {c: t[0] for c, t in tallest.items()}, split="test_human")
    value = ask_over(
        "What is the value of the highest bar?", {c: t[1] for c, t in tallest.items()}, split="test_augmented"
    )
    return [*label, *value]


def infovqa() -> list[Sample]:
    """Title and percentage of five infographics."""
    title = ask_over("What is the title of the infographic?", {name: seen[0] for name, seen in INFOS.items()})
    share = ask_over("What percentage is shown?", {name: seen[1] for name, seen in INFOS.items()})
    return [*share, *title]


def ocrbench() -> list[Sample]:
    """Five of OCRBench's ten categories."""
    read = "what is written in the image?"
    regular = ask_over(read, {f"sign:{w}": w for w in SIGNS[:4]}, category="Regular Text Recognition",
                       dataset_name="standin")  # fmt: skip
    digits = ask_over("what is the number in the image?", {f"plate:{n}": n for n in PLATES[:2]},
                      category="Digit String Recognition", dataset_name="standin")  # fmt: skip
    total = ask_over(
        "what is the total amount of this receipt? Answer this question using the text in the image directly.",
        {name: seen[1] for name, seen in list(DOCUMENTS.items())[1:3]},
        category="Key Information Extraction", dataset_name="standin",
    )  # fmt: skip
    formula = ask_over(
        "Please write out the expression of the formula in the image using LaTeX format.",
        {"formula:x + 3 = 7": "x + 3 = 7", "formula:y = 2x": "y = 2x"},
        category="Handwritten Mathematical Expression Recognition", dataset_name="standin",
    )  # fmt: skip
    return [*regular, *digits, *total, *formula]


def vizwiz() -> list[Sample]:
    """What people who cannot see ask about their photographs."""
    what = ask_over("What is this?", {"coffee": "coffee", "chelsea": "cat", "flower": "flower", "clock": "clock",
                                      "coins": "coins"})  # fmt: skip
    color = ask_over("What color is this?", {f"shape:{s}": s.split()[0] for s in SHAPES[:4]})
    read = ask_over("What color is this?", {"flower": "orange"})
    return [*what, *color, *read]


def ccocr_korean() -> list[Sample]:
    """Read Korean words; scored by character."""
    question = "Please output only the text content from the image without any additional descriptions or formatting."
    names = {"category": "multi_lan_ocr", "l2-category": "multi_lan_ocr", "split": "Korean"}
    return [
        Sample((f"hangul:{word}",), question, word, (), {**names, "image_name": f"korean_{k}.png"})
        for k, word in enumerate(WORDS)
    ]
