"""Names people type become VLMEvalKit's; unknown ones come with near ones."""

from __future__ import annotations

import pytest

from vldock.common import matrix
from vldock.common.names import spellings

MODELS = {
    "llava_v1.5_7b": ("LLaVA-1.5-7B", "llava-v1.5-7b", "liuhaotian/llava-v1.5-7b", "LLaVA 1.5 7b"),
    "llava_v1.5_13b": ("LLaVA-1.5-13B", "llava_1.5_13b"),
    "sharegpt4v_7b": ("ShareGPT4V-7B", "sharegpt4v-7b"),
    "InternVL2-2B": ("internvl2-2b", "InternVL2_2B", "InternVL2 2B"),
    "InternVL2-8B": ("internvl2_8b",),
    "MiniCPM-V-2_6": ("MiniCPM-V-2.6", "minicpm_v_2_6", "MiniCPM-V 2.6"),
    "cogvlm-chat": ("CogVLM-7B", "cogvlm", "CogVLM-chat"),
}
BENCHMARKS = {
    "MMBench_DEV_EN": ("MMBench", "mmbench_dev_en", "MMBench-DEV-EN"),
    "TextVQA_VAL": ("TextVQA", "textvqa"),
    "GQA_TestDev_Balanced": ("GQA",),
    "MMMU_DEV_VAL": ("MMMU",),
    "DocVQA_VAL": ("DocVQA",),
    "ChartQA_TEST": ("ChartQA",),
    "InfoVQA_VAL": ("InfoVQA",),
    "AI2D_TEST": ("AI2D",),
    "ScienceQA_VAL": ("ScienceQA",),
    "SEEDBench_IMG": ("SEEDBench", "SEED-Bench"),
    "VisOnlyQA-VLMEvalKit": ("VisOnlyQA",),
    "NaturalBenchDataset": ("NaturalBench",),
    "MMBench_DEV_KO": ("MMBench_KO",),
    "SEEDBench_IMG_KO": ("SEEDBench_KO",),
    "MMStar_KO": ("mmstar-ko",),
    "CCOCR_MultiLanOcr_Korean": ("CCOCR Korean", "CC-OCR Korean"),
    "POPE": ("pope",),
}


@pytest.mark.parametrize(("name", "typed"), [(name, one) for name in MODELS for one in MODELS[name]])
def test_a_model_is_known_by_the_names_people_type(name: str, typed: str) -> None:
    assert spellings.resolve_model(typed) == name


@pytest.mark.parametrize(("name", "typed"), [(name, one) for name in BENCHMARKS for one in BENCHMARKS[name]])
def test_a_benchmark_is_known_by_the_names_people_type(name: str, typed: str) -> None:
    assert spellings.resolve_benchmark(typed) == name


def test_the_table_has_each_declared_name_and_leaves_it_as_it_is() -> None:
    assert list(spellings.MODELS) == [spellings.resolve_model(model.name) for model in matrix.MODELS]
    assert list(spellings.BENCHMARKS) == [spellings.resolve_benchmark(one.name) for one in matrix.BENCHMARKS]


def test_no_spelling_is_of_two_names() -> None:
    for table in (spellings.MODELS, spellings.BENCHMARKS):
        pairs = {(spellings.fold(one), name) for name, others in table.items() for one in (name, *others)}
        assert len(dict(pairs)) == len(pairs)


@pytest.mark.parametrize("name", ["MMBench_dev_en", "DocVQA_TEST", "CCOCR", "llava_v1.5_7bb", "MyTable"])
def test_another_name_stays_as_it_is(name: str) -> None:
    assert (spellings.resolve_benchmark(name), spellings.resolve_model(name)) == (name, name)


def test_what_was_replaced_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    spellings.print_replaced(["LLaVA-1.5-7B", "POPE", "GQA"], ["llava_v1.5_7b", "POPE", "GQA_TestDev_Balanced"])
    spellings.print_replaced(["POPE"], ["POPE"])

    assert capsys.readouterr().err == "LLaVA-1.5-7B is llava_v1.5_7b; GQA is GQA_TestDev_Balanced\n"


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("GQA_Test", "GQA_TestDev_Balanced"),
        ("GQAX", "GQA_TestDev_Balanced"),
        ("ChartQA_TST", "ChartQA_TEST"),
        ("MMMU_DEV", "MMMU_DEV_VAL"),
        ("zzz", None),
    ],
)
def test_declared_names_are_suggested_first(typed: str, first: str | None) -> None:
    known = ["ChartQAPro", "ChartQA_TESTS", "MMMB", "MMDU", *spellings.BENCHMARKS]

    found = spellings.suggest(typed, known, declared=spellings.BENCHMARKS)

    assert found[:1] == ([first] if first else [])
