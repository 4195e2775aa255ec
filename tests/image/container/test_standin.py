"""Stand-ins: their files, their samples, and their sensitivity to a broken pipeline."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from conftest import FreshPython

from vldock.common.matrix import BENCHMARKS, MODELS
from vldock.image.standin import ASSETS, check_assets, load_manifest

csv.field_size_limit(sys.maxsize)
NAMES = [benchmark.name for benchmark in BENCHMARKS]
REPOSITORIES = [model.repo for model in MODELS if model.family == "LLaVA"]
OPTIONS = "ABCDEFGH"

LOAD = """
import copy, json, os
from vldock.image.standin import activate
activate(os.environ)
from vldock.image.standin.recipe.lesson import load_wrapper
from vldock.image.standin.recipe.record import open_dataset
loaded = load_wrapper(REPOSITORY)
loaded.kwargs["max_new_tokens"] = 32  # no answer is longer
tower = loaded.model.get_vision_tower()
layer = tower.select_layer

def fresh():
    tower.select_layer = layer
    wrapper = copy.copy(loaded)
    wrapper.image_processor = copy.deepcopy(loaded.image_processor)
    return wrapper

def answers(wrapper):
    seen = []
    for name in ("MMBench_DEV_EN", "POPE", "DocVQA_VAL"):
        dataset = open_dataset(name)
        wrapper.set_dump_image(dataset.dump_image)
        for row in range(4):
            line = dataset.data.iloc[row]
            custom = wrapper.use_custom_prompt(name)
            message = wrapper.build_prompt(line, dataset=name) if custom else dataset.build_prompt(line)
            said, right = wrapper.generate(message=message, dataset=name), line["answer"]
            seen.append(said == right or [said] == right or repr([said]) == right)
    return seen

"""
BREAKAGES = {
    "no system prompt": "wrapper.system_prompt = ''",
    "another system prompt": "wrapper.system_prompt = 'You are a helpful assistant. '",
    "mean and std swapped": "p = wrapper.image_processor; p.image_mean, p.image_std = p.image_std, p.image_mean",
    "no normalisation": "wrapper.image_processor.do_normalize = False",
    "image skipped": "f = wrapper.concat_tilist; wrapper.concat_tilist = lambda m: (f(m[-1:])[0], f(m)[1])",
    "columns of patches in another order": "p = wrapper.image_processor; f = p.preprocess\n"
    "p.preprocess = lambda *a, **k: {'pixel_values': [x.roll(112, -1) for x in f(*a, **k)['pixel_values']]}",
    "another layer": "wrapper.model.get_vision_tower().select_layer = -1",
}


def rows(name: str) -> list[dict[str, str]]:
    with (ASSETS / "LMUData" / f"{name}.tsv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def answers_by_question(name: str) -> dict[tuple[str, ...], Counter[str]]:
    """Return, for each question with its options, how often each answer is right."""
    found: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in rows(name):
        key = (row["question"], row.get("hint", ""), *(row.get(letter, "") for letter in OPTIONS))
        found[key][row.get("answer") or row["answers"]] += 1
    return found


def test_the_assets_are_what_the_manifest_says() -> None:
    check_assets(load_manifest(), ASSETS)


def test_the_assets_are_small() -> None:
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if not path.is_symlink()) < 12e6


def test_every_benchmark_has_its_samples() -> None:
    counts = {name: len(rows(name)) for name in NAMES}

    assert counts == {name: 8 if name == "NaturalBenchDataset" else 10 for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_at_least_half_of_the_samples_need_the_image(name: str) -> None:
    questions = answers_by_question(name).values()

    shared = sum(answers.total() for answers in questions if len(answers) > 1)

    assert shared >= sum(answers.total() for answers in questions) / 2


@pytest.mark.parametrize("name", NAMES)
def test_the_best_blind_guess_is_right_at_most_six_times_in_ten(name: str) -> None:
    questions = answers_by_question(name).values()

    lucky = sum(max(answers.values()) for answers in questions)

    assert lucky <= 0.6 * sum(answers.total() for answers in questions)


@pytest.mark.parametrize("name", ["POPE", "HallusionBench", "MME", "NaturalBenchDataset"])
def test_yes_and_no_are_equally_many(name: str) -> None:
    counts = Counter(row["answer"] for row in rows(name))

    assert counts["Yes"] == counts["No"]


@pytest.mark.parametrize("repository", sorted({repo for model in MODELS for repo in (model.repo, *model.needs)}))
def test_the_hub_cache_is_laid_out_as_a_real_one(repository: str) -> None:
    home = ASSETS / "huggingface" / f"models--{repository.replace('/', '--')}"

    snapshot = home / "snapshots" / (home / "refs" / "main").read_text(encoding="ascii")

    links = [path for path in snapshot.iterdir() if path.readlink().parent == Path("../../blobs")]
    assert {path.resolve().name for path in links} == {path.name for path in (home / "blobs").iterdir()}


@pytest.fixture(scope="module", params=REPOSITORIES)
def answered(request: pytest.FixtureRequest, fresh_python: FreshPython) -> dict[str, list[bool]]:
    """Which of twelve samples the stand-in answers, as built ("") and after each breakage.

    One process a model.
    """
    code = LOAD + "found = {}\n"
    for name, breakage in {"": "pass", **BREAKAGES}.items():
        code += f"wrapper = fresh()\n{breakage}\nfound[{name!r}] = answers(wrapper)\n"
    done = fresh_python(code.replace("REPOSITORY", repr(request.param)) + "print(json.dumps(found))\n")
    assert done.returncode == 0, done.stderr
    found: dict[str, list[bool]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_stand_in_answers_its_samples(answered: dict[str, list[bool]]) -> None:
    assert answered[""] == [True] * 12


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_stand_in_notices(breakage: str, answered: dict[str, list[bool]]) -> None:
    assert sum(answered[breakage]) <= 3
