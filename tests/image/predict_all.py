"""Script `predict_all.py OUT MODEL BENCHMARK...`: run.py into OUT, then predict on every sample it asked.

One process, because importing VLMEvalKit takes seconds; each loads its own model. The last line is a JSON object:

{benchmark: {index: {"same_text": bool, "answer": ..., "streamed": ..., "tokens": hash of the prompt}},
 "pieces": [[whole, streamed, number of pieces], ...] of TEXTS}
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.update(VLDOCK_STANDIN="1", VLDOCK_DEVICE="cpu")

from vldock.image import run_py

COGVLM, SHORT = "cogvlm-chat", "\nShort Answer."  # what its wrapper adds to questions of such benchmarks
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


def indices(out: str, model: str, benchmark: str) -> set[str]:
    """Return the samples that run.py asked."""
    notes = Path(out, model, f"{model}_{benchmark}_prompts.jsonl").read_text().splitlines()
    return {json.loads(note)["index"] for note in notes}


def main(out: str, model: str, benchmarks: list[str]) -> int:
    """Run, ask and print; return run.py's exit status."""
    status = run_py.main(["--data", *benchmarks, "--model", model, "--work-dir", out])
    if status:
        return status
    from vlmeval.dataset import build_dataset

    from vldock.image.predict import model as predict

    loaded, seen = predict.load(model), {}
    for name in benchmarks:
        benchmark = build_dataset(name)
        loaded.wrapper.set_dump_image(benchmark.dump_image)
        asked = indices(out, model, name)
        for _, row in benchmark.data.iterrows():
            if str(row["index"]) not in asked:
                continue
            own = loaded.wrapper.use_custom_prompt(name)
            message = loaded.wrapper.build_prompt(row, dataset=name) if own else benchmark.build_prompt(row)
            message += [{"type": "text", "value": SHORT}] if model == COGVLM else []
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
    if model.startswith("llava"):
        seen["pieces"] = [in_pieces(loaded.wrapper.tokenizer, text) for text in TEXTS]
    print(json.dumps(seen))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
