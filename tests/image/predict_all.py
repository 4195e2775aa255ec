"""Script `predict_all.py OUT BENCHMARK...`: run.py into OUT, then predict on every sample.

One process, because importing VLMEvalKit takes seconds; each loads its own model. The last line is a JSON object:

{benchmark: {index: {"same_text": bool, "answer": ..., "streamed": ..., "tokens": hash of the prompt}},
 "pieces": [[whole, streamed, number of pieces], ...] of TEXTS}
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.update(VLDOCK_STANDIN="1", VLDOCK_DEVICE="cpu")

from vldock.image import run_py

TEXTS = ("one two  three\n indented\n- a list", "한국어 문장 입니다", "emoji 🙂 and 漢字", "single")


def as_request(message: list[dict[str, str]]) -> Any:
    """Return VLMEvalKit's message as a user's request.

    Marks are written where images do not come first.
    """
    from vldock.image.predict.request import MARK, Request

    images = tuple(item["value"] for item in message if item["type"] == "image")
    first = [item["type"] for item in message[: len(images)]] == ["image"] * len(images)
    words = (item["value"] if item["type"] == "text" else "" if first else MARK for item in message)
    return Request("".join(words), images)


def in_pieces(tokenizer: Any, text: str) -> list[Any]:
    """Return a text, and the streamer's pieces of its tokens, one by one."""
    import torch

    from vldock.image.predict.answer_stream import AnswerStreamer

    ids, said = tokenizer(text).input_ids, []
    pieces = AnswerStreamer(tokenizer, said.append)
    for token in ids:
        pieces.put(torch.tensor([token]))
    whole = tokenizer.decode(ids, skip_special_tokens=True).strip()
    pieces.finish(whole)
    return [whole, "".join(said), len(said)]


def main(out: str, benchmarks: list[str]) -> int:
    """Run, ask and print; return run.py's exit status."""
    status = run_py.main(["--data", *benchmarks, "--model", "llava_v1.5_7b", "--work-dir", out])
    from vlmeval.dataset import build_dataset

    from vldock.image.predict import model as predict

    loaded, seen = predict.load("7b"), {}
    for name in benchmarks:
        benchmark = build_dataset(name)
        loaded.wrapper.set_dump_image(benchmark.dump_image)
        build = loaded.wrapper.build_prompt if loaded.wrapper.use_custom_prompt(name) else benchmark.build_prompt
        for _, row in benchmark.data.iterrows():
            message = build(row, dataset=name) if loaded.wrapper.use_custom_prompt(name) else build(row)
            request, pieces = as_request(message), []
            answer = loaded.ask(request, on_text=pieces.append)
            merged = "".join(item["value"] for item in message if item["type"] == "text")
            said = request.message(request.images)
            seen.setdefault(name, {})[str(row["index"])] = {
                "same_text": "".join(item["value"] for item in said if item["type"] == "text") == merged,
                "answer": answer.answer,
                "streamed": "".join(pieces),
                "tokens": answer.prompt_sha256,
            }
    seen["pieces"] = [in_pieces(loaded.wrapper.tokenizer, text) for text in TEXTS]
    print(json.dumps(seen))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
