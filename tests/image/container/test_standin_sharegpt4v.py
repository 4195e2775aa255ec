"""ShareGPT4V's stand-in: llava-v1.5-7b's answers from a tower and a projector that belong together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import FreshPython

from vldock.image.standin import ASSETS

BASES = ("models--liuhaotian--llava-v1.5-7b", "models--openai--clip-vit-large-patch14-336")
CODE = """
import json, os
from itertools import islice
from vldock.image.standin.activate import CACHES, activate
activate(os.environ)
os.environ.update(dict.fromkeys(CACHES, CACHE))
from vlmeval.config import supported_VLM
from vldock.image.standin.recipe.record import messages

def answers(wrapper):
    wrapper.kwargs["max_new_tokens"] = 32  # no answer is longer
    chosen = islice(messages(wrapper), 0, None, 20)
    return [wrapper.generate(message=item.message, dataset=item.benchmark) for item in chosen]

base, shared = (supported_VLM[name]() for name in ("llava_v1.5_7b", "sharegpt4v_7b"))
found = {"base": answers(base), "shared": answers(shared)}
found["right"] = [item.answer for item in islice(messages(base), 0, None, 20)]
one, other = base.model.get_model(), shared.model.get_model()
one.vision_tower, other.vision_tower = other.vision_tower, one.vision_tower
found.update(base_swapped=answers(base), shared_swapped=answers(shared))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answered(fresh_python: FreshPython, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Answers to every twentieth sample, with the towers in their places and swapped."""
    from vldock.image.remote_standins.sharegpt4v import write_sharegpt4v

    cache = tmp_path_factory.mktemp("hub")
    write_sharegpt4v(cache)
    for name in BASES:
        (cache / name).symlink_to(ASSETS / "huggingface" / name)
    done = fresh_python(CODE.replace("CACHE)", f"{str(cache)!r})"))
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_it_answers_as_the_stand_in_it_derives_from(answered: dict[str, list[str]]) -> None:
    assert answered["shared"] == answered["base"] == answered["right"]


@pytest.mark.parametrize("name", ["base_swapped", "shared_swapped"])
def test_a_foreign_tower_gives_wrong_answers(name: str, answered: dict[str, list[str]]) -> None:
    hits = sum(said == right for said, right in zip(answered[name], answered["right"], strict=True))

    assert hits <= len(answered["right"]) / 4


def test_writing_it_twice_gives_the_same_revisions(tmp_path: Path) -> None:
    from vldock.image.remote_standins.sharegpt4v import write_sharegpt4v

    first, second = (write_sharegpt4v(tmp_path / name) for name in ("one", "two"))

    assert [path.name for path in first] == [path.name for path in second]


def test_the_assets_are_what_deriving_gives(tmp_path: Path) -> None:
    from vldock.image.remote_standins.sharegpt4v import REPOSITORY, TOWER, snapshot_of, write_sharegpt4v

    derived = write_sharegpt4v(tmp_path)

    assert [path.name for path in derived] == [
        snapshot_of(repository, ASSETS / "huggingface").name for repository in (REPOSITORY, TOWER)
    ]


def test_its_config_is_the_published_ones_kind(tmp_path: Path) -> None:
    from vldock.image.remote_standins.sharegpt4v import TOWER, write_sharegpt4v

    snapshot, _ = write_sharegpt4v(tmp_path)

    config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["mm_vision_tower"]) == ("share4v", TOWER)
