"""The stand-ins detect breakage: a pipeline with one wrong step no longer scores."""

from __future__ import annotations

import json
import statistics

import pytest

BENCHMARKS = ["MMBench_DEV_EN", "TextVQA_VAL", "POPE", "OCRBench", "SEEDBench_IMG"]
WRAPPER = "/workspace/VLMEvalKit/vlmeval/vlm/llava/llava.py"
MM_UTILS = "/workspace/LLaVA/llava/mm_utils.py"
ENOUGH = 90.0
OPENED = 'Image.open(s).convert("RGB")'
TURNS = '"USER: " + content + " ASSISTANT: "'

# (file, old text, new text)
BREAKAGES = {
    "template without its system prompt": (WRAPPER, f"self.system_prompt + {TURNS}", TURNS),
    "template of another family": (WRAPPER, TURNS, '"### Human: " + content + " ### Assistant: "'),
    "template without the assistant's turn": (WRAPPER, TURNS, '"USER: " + content'),
    "image skipped": (
        WRAPPER,
        'text += " <image> "\n                images.append(item["value"])\n        return',
        'text += " "\n        return',
    ),
    "image blank": (WRAPPER, OPENED, 'Image.new("RGB", (336, 336))'),
    "channels swapped": (WRAPPER, OPENED, f'Image.merge("RGB", {OPENED}.split()[::-1])'),
    "mean and std swapped": (
        MM_UTILS,
        "    new_images = []",
        "    if not hasattr(image_processor, 'swapped'):\n        image_processor.swapped = True\n"
        "        image_processor.image_mean, image_processor.image_std = "
        "image_processor.image_std, image_processor.image_mean\n    new_images = []",
    ),
}
EDIT = """
import json, pathlib, sys
path, old, new = json.loads(sys.argv[1])
text = pathlib.Path(path).read_text()
assert old in text, f"{old!r} is not in {path}"
pathlib.Path(path).write_text(text.replace(old, new))
"""


def scores(container) -> dict[str, float]:
    """Return {benchmark: score} of the 7B stand-in in a container."""
    # no answer is longer, and a broken pipeline may not come to an end
    capped = container.exec(["python", "-c", EDIT, json.dumps((WRAPPER, "max_new_tokens=2048", "max_new_tokens=64"))])
    assert capped.exit_code == 0, capped.text
    argv = ["python", "-m", "vldock.image", "evaluate", "--model", "llava_v1.5_7b", "--out", "/tmp/out"]
    done = container.exec([*argv, "--data", *BENCHMARKS], environment={"VLDOCK_STANDIN": "1"})
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ended = {event["benchmark"]: event["score"] or 0.0 for event in events if event["event"] == "cell_end"}
    assert ended.keys() == set(BENCHMARKS), done.text
    return ended


def test_the_pipeline_as_built_scores_on_every_benchmark(start_container):
    assert min(scores(start_container(["sleep", "1800"])).values()) >= ENOUGH


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES.keys())
def test_a_broken_step_fails_most_cells(start_container, breakage):
    container = start_container(["sleep", "1800"])
    edited = container.exec(["python", "-c", EDIT, json.dumps(breakage)])
    assert edited.exit_code == 0, edited.text
    assert statistics.median(scores(container).values()) < ENOUGH
