"""CogVLM's stand-in: it answers through VLMEvalKit's wrapper, in two dtypes, and notices every drift."""

from __future__ import annotations

import json

import pytest
from conftest import FreshPython

from vldock.image.remote_standins.cogvlm import DRIFTS

CODE = """
import contextlib, copy, json, os
from vldock.image.standin import activate
activate(os.environ)
from vlmeval.config import supported_VLM
from vldock.image.remote_standins.cogvlm import DRIFTS
from vldock.image.standin.recipe.record import messages

wrapper = supported_VLM["cogvlm-chat"]()
asked = list(messages(wrapper))[::20]

def said():
    return [wrapper.generate(message=copy.deepcopy(item.message), dataset=item.benchmark) for item in asked]

found = {"right": [item.answer for item in asked], "said": said()}
for name in DRIFTS if DRIFTING else ():
    with DRIFTS[name](wrapper):
        found[name] = said()
print(json.dumps(found))
"""


def answers(fresh_python: FreshPython, dtype: str, *, drifting: bool) -> dict[str, list[str]]:
    """Return the right answers to every twentieth sample, those said, and with `drifting` those of each drift."""
    done = fresh_python(CODE.replace("DRIFTING", str(drifting)), environ={"VLDOCK_DTYPE": dtype})
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def answered(fresh_python: FreshPython) -> dict[str, list[str]]:
    """Answers in float32, without and with each drift."""
    return answers(fresh_python, "float32", drifting=True)


def test_it_answers_its_samples(answered: dict[str, list[str]]) -> None:
    assert answered["said"] == answered["right"]


def test_it_answers_them_in_bfloat16(fresh_python: FreshPython) -> None:
    found = answers(fresh_python, "bfloat16", drifting=False)

    assert found["said"] == found["right"]


@pytest.mark.parametrize("drift", DRIFTS)
def test_it_notices(drift: str, answered: dict[str, list[str]]) -> None:
    hits = sum(said == right for said, right in zip(answered[drift], answered["right"], strict=True))

    assert hits <= len(answered["right"]) / 4
