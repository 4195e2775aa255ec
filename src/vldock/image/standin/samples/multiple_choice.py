"""Samples of the multiple-choice benchmarks in English."""

from __future__ import annotations

from collections.abc import Sequence

from vldock.image.standin.samples.sample import LETTERS, Sample, choose, choose_over

SUBJECT = ("a cat", "a cup of coffee", "a rocket", "an astronaut")
SUBJECTS = {"chelsea": "a cat", "rocket": "a rocket", "coffee": "a cup of coffee", "astronaut": "an astronaut"}
CHAINS = {
    "chain:grass>rabbit>fox": ("rabbit", "fox"),
    "chain:leaf>snail>bird": ("snail", "bird"),
    "chain:algae>fish>seal": ("fish", "seal"),
    "chain:corn>mouse>owl": ("mouse", "owl"),
    "chain:plant>insect>frog": ("insect", "frog"),
}


def circular(groups: Sequence[Sample], index: int) -> list[Sample]:
    """MMBench's rows: every question once, then its rotations.

    Row k of a question has index + k * 1000000, its options moved round by k, and the index of row 0 instead of the
    picture (vlmeval dataset/image_base.py).
    """
    rows = []
    for turn in range(max(len(group.options) for group in groups)):
        for number, group in enumerate(groups, start=index):
            if turn < len(group.options):
                moved = group.options[turn:] + group.options[:turn]
                right = group.options[LETTERS.index(group.answer)]
                cells = {**group.cells, "index": number + turn * 1_000_000}
                if turn:
                    cells["image"] = str(number)
                rows.append(Sample(group.pictures, group.question, LETTERS[moved.index(right)], moved, cells))
    return rows


def mmbench() -> list[Sample]:
    """Four questions of three and two options: ten rows."""
    subject = {"category": "object_localization", "l2-category": "finegrained_perception (instance-level)"}
    scene = {"category": "image_scene", "l2-category": "coarse_perception"}
    common = {"source": "standin", "split": "dev", "comment": None}
    what = "What is the main object in the image?"
    where = "Was the picture taken indoors or outdoors?"
    groups = [
        choose("chelsea", what, SUBJECT[:3], "a cat", hint=None, **subject, **common),
        choose("rocket", what, SUBJECT[:3], "a rocket", hint=None, **subject, **common),
        choose("coffee", where, ("indoors", "outdoors"), "indoors", hint="Look at the light.", **scene, **common),
        choose("china", where, ("indoors", "outdoors"), "outdoors", hint="Look at the light.", **scene, **common),
    ]
    return circular(groups, 241)


def mmmu() -> list[Sample]:
    """MMMU's columns are lists; the last two rows are open questions, as in the real set."""
    instrument = "Which instrument most likely produced <image 1>?"
    tools = ("a light microscope", "a space telescope", "a fundus camera", "a holographic microscope")
    tissue = "The picture <image 1> is used in a lecture. Which subject is it from?"
    subjects = ("Astronomy", "Pathology", "Ophthalmology", "History of Art")
    health = {"category": "Clinical_Medicine", "l2-category": "Health & Medicine"}
    samples = choose_over(
        instrument, tools, {"tissue": tools[0], "hubble": tools[1], "retina": tools[2], "cell": tools[3]}, **health
    )
    samples += choose_over(
        tissue, subjects, {"tissue": "Pathology", "hubble": "Astronomy", "retina": "Ophthalmology"}, **health
    )
    samples.append(choose("china", tissue, subjects, "History of Art", category="Art", **{"l2-category": "Art"}))
    count = "How many circles are drawn in <image 1>? Write the number as a word."
    for picture, answer in {"dots:4": "four", "dots:6": "six"}.items():
        samples.append(Sample((picture,), count, answer, (), {"category": "Math", "l2-category": "Science"}))
    return samples


def ai2d() -> list[Sample]:
    """Food chains: who eats the plant, who stands last."""
    middle, last = zip(*CHAINS.values(), strict=True)
    eats = choose_over("Which one eats the plant?", middle[:4], {p: v[0] for p, v in list(CHAINS.items())[:4]})
    ends = choose_over("Which one is at the end of the food chain?", last, {p: v[1] for p, v in CHAINS.items()})
    plant = choose("chain:plant>insect>frog", "Which one eats the plant?", ("frog", "plant", "insect", "owl"), "insect")
    return [*eats, *ends, plant]


def scienceqa() -> list[Sample]:
    """Lectures as hints; nature or made by people; solids and colours."""
    made = choose_over(
        "Was the thing in the picture made by people?",
        ("It was made by people.", "It was not made by people."),
        {
            "rocket": "It was made by people.",
            "flower": "It was not made by people.",
            "brick": "It was made by people.",
            "gravel": "It was not made by people.",
            "grass": "It was not made by people.",
        },
        hint="Some things are found in nature. Other things are made by people.",
        category="natural science",
    )
    angle = choose_over(
        "What kind of angle is ABC?",
        ("acute", "right", "obtuse"),
        {"angle:40": "acute", "angle:90": "right", "angle:135": "obtuse", "angle:65": "acute", "angle:112": "obtuse"},
        hint=None,
        category="natural science",
    )
    return [*made[:2], *angle[:3], *made[2:], *angle[3:]]


def mmstar() -> list[Sample]:
    """Ten rows over shapes and charts; `bench` and `l2_category` as in the real file."""
    colors = ("red", "blue", "green", "yellow")
    color = choose_over(
        "What is the color of the shape?",
        colors,
        {"shape:red circle": "red", "shape:blue square": "blue", "shape:green triangle": "green",
         "shape:yellow star": "yellow", "shape:red hexagon": "red"},
        category="fine-grained perception", l2_category="attribute & celebrity recognition", bench="standin",
    )  # fmt: skip
    day = choose_over(
        "Which day has the tallest bar?",
        ("Mon", "Tue", "Wed", "Thu"),
        {CHARTS[0]: "Thu", CHARTS[1]: "Mon", CHARTS[2]: "Tue", CHARTS[3]: "Wed", CHARTS[4]: "Tue"},
        category="logical reasoning", l2_category="diagram reasoning", bench="standin",
    )  # fmt: skip
    return [*color, *day]


CHARTS = (
    "chart:Mon=12,Tue=30,Wed=21,Thu=46",
    "chart:Mon=44,Tue=18,Wed=27,Thu=9",
    "chart:Mon=8,Tue=41,Wed=33,Thu=15",
    "chart:Mon=20,Tue=11,Wed=49,Thu=29",
    "chart:Mon=31,Tue=38,Wed=6,Thu=24",
)


def realworldqa() -> list[Sample]:
    """Traffic lights and road arrows."""
    light = choose_over(
        "What color is the traffic light showing? Please answer directly with only the letter of the correct option "
        "and nothing else.",
        ("Green", "Red", "Yellow"),
        {"light:red": "Red", "light:green": "Green", "light:yellow": "Yellow"},
    )
    arrow = choose_over(
        "In which direction does the arrow on the road point?",
        ("Left", "Right", "Straight ahead", "Backwards"),
        {"arrow:left": "Left", "arrow:right": "Right", "arrow:up": "Straight ahead", "arrow:down": "Backwards"},
    )
    safe = choose_over(
        "Can you drive on now?", ("Yes", "No"), {"light:green": "Yes", "light:red": "No", "light:yellow": "No"}
    )
    return [*light, *arrow, *safe]


def visonlyqa() -> list[Sample]:
    """Angles and shapes; category is the split of the original data set."""
    size = choose_over(
        "Estimate the angle ABC. Which of the following is closest?",
        ("40", "65", "90.0", "112.0", "135.0"),  # so pandas spelled them where some rows have two options only
        {"angle:90": "90.0", "angle:40": "40", "angle:135": "135.0", "angle:65": "65", "angle:112": "112.0"},
        category="geometry__angle",
    )
    form = choose_over(
        "Is the statement true: the figure has four sides?",
        ("True", "False"),
        {"shape:blue square": "True", "shape:green triangle": "False", "shape:purple hexagon": "False"},
        category="geometry__quadrilateral",
    )
    three = choose_over(
        "Is the statement true: the figure has three sides?",
        ("True", "False"),
        {"shape:green triangle": "True", "shape:blue square": "False"},
        category="geometry__triangle",
    )
    return [*size, *form, *three]


def seedbench() -> list[Sample]:
    """Scene and counting questions."""
    scene = choose_over("What is the main subject of the image?", SUBJECT, SUBJECTS, category="Scene Understanding")
    others = ("a cat", "a flower", "galaxies", "a street")
    scene.append(choose("hubble", scene[0].question, others, "galaxies", category="Scene Understanding"))
    count = choose_over(
        "How many dots are there in the image?",
        ("Two", "Three", "Four", "Five"),
        {"dots:2": "Two", "dots:5": "Five", "dots:3": "Three", "dots:4": "Four"},
        category="Instances Counting",
    )
    more = ("Six", "Seven", "Eight", "Nine")
    count.append(choose("dots:6", count[0].question, more, "Six", category="Instances Counting"))
    return [*scene, *count]


def blink() -> list[Sample]:
    """Two pictures a row; swapping them changes the answer."""
    sides = ("the first image", "the second image")
    more = "Which image has more dots? Select from the following choices."
    fewer = "Which image has fewer dots? Select from the following choices."
    rows = []
    for first, second in (("dots:2", "dots:5"), ("dots:5", "dots:2"), ("dots:6", "dots:3")):
        bigger = "B" if first < second else "A"
        rows.append(Sample((first, second), more, bigger, sides, {"category": "Counting"}))
        rows.append(Sample((first, second), fewer, "AB"["BA".index(bigger)], sides, {"category": "Counting"}))
    for question, name in (("Which image shows an animal?", "chelsea"), ("Which image shows a drink?", "coffee")):
        for pair in (("chelsea", "coffee"), ("coffee", "chelsea")):
            rows.append(Sample(pair, question, LETTERS[pair.index(name)], sides, {"category": "Visual_Similarity"}))
    return rows
