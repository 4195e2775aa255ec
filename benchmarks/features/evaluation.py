"""Cost and savings of the feature cache in an evaluation.

They are measured inside the image. One JSON object on standard output.

One process, CPU seconds: the batched engine answers one question about each image without the cache, with an empty
one, and with a full one. The decoder is small, so that the images' share shows; a real one adds the same to all three.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.update(VLDOCK_STANDIN="1", VLDOCK_DEVICE="cpu")
from vldock.image.startup import prepare as startup

startup.prepare()  # before transformers is imported, which reads where the weights are

sys.path.insert(0, str(Path(__file__).parents[1]))
import honest_model  # noqa: E402
import torch  # noqa: E402
from measure import photographs  # noqa: E402

from vldock.image import standin  # noqa: E402
from vldock.image.answering.types import Question  # noqa: E402
from vldock.image.engines import disk_features  # noqa: E402
from vldock.image.engines.batched import BatchedEngine  # noqa: E402
from vldock.image.engines.memory_features import FeatureStore  # noqa: E402
from vldock.image.features import evict, picture_rows  # noqa: E402

ASSETS = Path(standin.__file__).parent / "assets/huggingface"


def make_questions(pictures: list[picture_rows.ImageRow]) -> list[Question]:
    """Return one question about each image."""
    text = {"type": "text", "value": "Is there a cat in the image?"}
    return [Question(row.vlm_idx, [{"type": "image", "value": str(row.path)}, text], "pictures") for row in pictures]


def time_answers(wrapper: Any, questions: list[Question], root: Path | None) -> tuple[float, list[list[int]]]:
    """Return the CPU seconds of answering with empty memory, and the tokens."""
    disk_features._opened.cache_clear()
    env = {"VLDOCK_ENGINE": "batched", "VLDOCK_FEATURE_CACHE": "1" if root else "0", "VLDOCK_FEATURES": str(root or "")}
    engine = BatchedEngine(
        wrapper, batch_size=4, features=FeatureStore(1 << 30), disk=disk_features.open_for(wrapper, env)
    )
    begun = time.process_time()
    found = {answer.index: answer.note["answer"] for answer in engine.answers(questions)}
    return time.process_time() - begun, [found[question.index] for question in questions]


def measure_tower(name: str, wrapper: Any, pictures: list[picture_rows.ImageRow], root: Path) -> dict[str, Any]:
    """Return one tower's figures in milliseconds per image."""
    questions, count = make_questions(pictures), len(pictures)
    time_answers(wrapper, questions[:1], None)  # the first pass allocates and warms up
    begun = time.process_time()
    disk_features.open_for(
        wrapper, {"VLDOCK_ENGINE": "batched", "VLDOCK_FEATURE_CACHE": "1", "VLDOCK_FEATURES": str(root)}
    )
    identity = time.process_time() - begun
    without, expected = time_answers(wrapper, questions, None)
    cold, first = time_answers(wrapper, questions, root)
    warm, second = time_answers(wrapper, questions, root)
    size = sum(one.size for one in evict.list_shards(root))
    wrong = sum(one != two or one != three for one, two, three in zip(expected, first, second, strict=True))
    times = {"without_ms": without, "cold_ms": cold, "warm_ms": warm}
    found = {name: 1e3 * value / count for name, value in times.items()}
    found |= {"bytes": size / count, "identity_s": identity, "answers_differ": wrong}
    return {"tower": name, "pictures": count, **found}


def real_widths(folder: Path, layers: int) -> Any:
    """Return a wrapper with a CLIP-L/14-336 tower and a small decoder.

    The tower has `layers` layers.
    """
    tokenizer = str(next(ASSETS.glob("models--*-7b/snapshots/*")))
    size = honest_model.Size(layers=1, tower_layers=layers, width=256)
    made = honest_model.wrapper(size, tokenizer=tokenizer, folder=folder, dtype=torch.float32, device="cpu")
    made.kwargs["max_new_tokens"] = 1
    return made


def stand_in() -> Any:
    """Return the stand-in for LLaVA-1.5-7B."""
    from vlmeval.config import supported_VLM

    made = supported_VLM["llava_v1.5_7b"]()
    made.kwargs["max_new_tokens"] = 1
    return made


def main() -> int:
    """Measure both towers and print the result."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=os.environ.get("VLDOCK_FEATURES")) as name:
        folder = Path(name)
        for part in ("pictures", "tower"):
            (folder / part).mkdir()
        pictures = photographs(folder / "pictures", int(os.environ.get("PICTURES", "24")))
        found = [
            measure_tower("64 channels, 3 layers", stand_in(), pictures, folder / "s"),
            measure_tower("CLIP-L/14-336", real_widths(folder / "tower", 24), pictures[:6], folder / "l"),
        ]
    print(json.dumps({"threads": torch.get_num_threads(), "towers": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
