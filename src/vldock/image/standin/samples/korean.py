"""Samples of the Korean multiple-choice benchmarks: the English pictures, asked in Korean."""

from __future__ import annotations

from vldock.image.standin.samples.multiple_choice import CHARTS, circular
from vldock.image.standin.samples.sample import Sample, choose, choose_over

SUBJECT = ("고양이", "커피 한 잔", "로켓", "우주 비행사")


def mmbench_ko() -> list[Sample]:
    """The same indices and pictures as MMBench_DEV_EN, because both keep their pictures in images/MMBench."""
    what, where = "이미지의 주요 대상은 무엇입니까?", "이 사진은 실내에서 찍었습니까, 실외에서 찍었습니까?"
    subject = {"category": "object_localization", "l2-category": "finegrained_perception (instance-level)"}
    scene = {"category": "image_scene", "l2-category": "coarse_perception"}
    common = {"source": "standin", "split": "dev", "comment": None}
    groups = [
        choose("chelsea", what, SUBJECT[:3], "고양이", hint=None, **subject, **common),
        choose("rocket", what, SUBJECT[:3], "로켓", hint=None, **subject, **common),
        choose("coffee", where, ("실내", "실외"), "실내", hint="빛을 보십시오.", **scene, **common),
        choose("china", where, ("실내", "실외"), "실외", hint="빛을 보십시오.", **scene, **common),
    ]
    return circular(groups, 241)


def seedbench_ko() -> list[Sample]:
    """Scene and counting questions."""
    rights = {"chelsea": "고양이", "rocket": "로켓", "coffee": "커피 한 잔", "astronaut": "우주 비행사"}
    ask = "이미지의 주요 대상은 무엇인가요?"
    scene = choose_over(ask, SUBJECT, rights, category="Scene Understanding")
    scene.append(choose("hubble", ask, ("고양이", "꽃", "은하", "거리"), "은하", category="Scene Understanding"))
    count = choose_over(
        "이미지에 점이 몇 개 있나요?",
        ("두 개", "세 개", "네 개", "다섯 개"),
        {"dots:2": "두 개", "dots:5": "다섯 개", "dots:3": "세 개", "dots:4": "네 개"},
        category="Instances Counting",
    )
    count.append(choose("dots:6", "이미지에 점이 몇 개 있나요?", ("여섯 개", "일곱 개", "여덟 개", "아홉 개"),
                        "여섯 개", category="Instances Counting"))  # fmt: skip
    return [*scene, *count]


def mmstar_ko() -> list[Sample]:
    """Colours and charts."""
    color = choose_over(
        "도형의 색은 무엇입니까?",
        ("빨간색", "파란색", "초록색", "노란색"),
        {"shape:red circle": "빨간색", "shape:blue square": "파란색", "shape:green triangle": "초록색",
         "shape:yellow star": "노란색", "shape:red hexagon": "빨간색"},
        category="fine-grained perception", l2_category="attribute & celebrity recognition", bench="standin",
    )  # fmt: skip
    day = choose_over(
        "어느 요일의 막대가 가장 높습니까?",
        ("Mon", "Tue", "Wed", "Thu"),
        {CHARTS[0]: "Thu", CHARTS[1]: "Mon", CHARTS[2]: "Tue", CHARTS[3]: "Wed", CHARTS[4]: "Tue"},
        category="logical reasoning", l2_category="diagram reasoning", bench="standin",
    )  # fmt: skip
    return [*color, *day]
