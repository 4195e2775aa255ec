"""Make a compute-honest model and three benchmarks for it, inside the image.

A layer costs what one of LLaVA-1.5-7B costs.

The model is honest_model.py's, decoder (of 32 layers) and tower (of 24) cut about alike. Weights are random but for
what ends an answer: after its last prompt token the model starts one of some chains of tokens, which one hangs on image
and question, and each chain ends after its own number of tokens. Random weights alone would never end.

POPE: 18 questions on each image, as the real one asks. DocVQA_VAL: four (5,349 on 1,286). TextVQA_VAL: one (the real
one asks 5,000 on 3,166). One of them alone would say little: what batches save hangs on the questions that share an
image.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import honest_model
from honest_model import VOCABULARY

from vldock.image.standin.activate import CACHES, SWITCHES
from vldock.image.standin.manifest import md5_of

QUESTIONS_AN_IMAGE = {"POPE": 18, "DocVQA_VAL": 4, "TextVQA_VAL": 1}
WORDED = {
    "POPE": "Is there a {thing} number {n} in the image?",
    "DocVQA_VAL": "What is the number beside the {thing} in line {n}?",
    "TextVQA_VAL": "What is written on the {thing} of {n}?",
}
MORE = {"POPE": {"answer": "Yes", "category": "random"}}  # columns; the others have a list of right answers
LENGTHS = (1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32)  # tokens of a chain
FIRST_PIECE = 300  # pieces below are bytes and marks
PULL, SPREAD, DIRECTIONS = 4.0, 0.5, 4
THINGS = ("dog", "car", "tree", "chair", "bottle", "person", "bicycle", "clock", "bird")
SIZE = (640, 480)


def picture(chance: random.Random) -> bytes:
    """Return a JPEG of coloured shapes, 640 by 480."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", SIZE, tuple(chance.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = chance.randrange(SIZE[0]), chance.randrange(SIZE[1])
        box = (x, y, x + chance.randrange(10, 250), y + chance.randrange(10, 250))
        draw.ellipse(box, fill=tuple(chance.randrange(256) for _ in range(3)))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=90)
    return written.getvalue()


def tables(out: Path, images: dict[str, int], *, chance: random.Random) -> dict[str, str]:
    """Write a TSV of each benchmark; return their md5.

    Each has some images; the md5 are by name.
    """
    import pandas as pd

    found = {}
    out.mkdir(parents=True, exist_ok=True)
    for name, count in images.items():
        rows, number = list[tuple[str, str]](), itertools.count()
        for _ in range(count):
            image = base64.b64encode(picture(chance)).decode("ascii")
            for _ in range(QUESTIONS_AN_IMAGE[name]):
                rows.append((image, WORDED[name].format(thing=chance.choice(THINGS), n=next(number))))
        frame = pd.DataFrame(rows, columns=["image", "question"]).assign(**MORE.get(name, {"answer": "['one']"}))
        frame.insert(0, "index", range(len(frame)))
        frame.to_csv(out / f"{name}.tsv", sep="\t", index=False)
        found[name] = md5_of(out / f"{name}.tsv")
    return found


def language(size: honest_model.Size) -> Any:
    """Return the model with an empty output layer.

    The tower must be in the cache already.
    """
    import torch

    from vldock.image.standin.recipe import tower as recipe

    model = honest_model.language(size, tower=recipe.REPOSITORY)
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0.0, 1.0)
        model.lm_head.weight.zero_()
    model.get_vision_tower().load_model()  # now: loading draws random numbers too
    return model.eval()


def last_states(model: Any, prompts: list[list[int]], images: Any) -> Any:
    """Return the states [prompts, width] that choose the first token of each answer."""
    import torch

    found = []
    with torch.inference_mode():
        for tokens, image in zip(prompts, images, strict=True):
            ids = torch.tensor([tokens])
            made = model.prepare_inputs_labels_for_multimodal(ids, None, None, None, None, image[None])
            found.append(model.model(inputs_embeds=made[4]).last_hidden_state[0, -1])
    return torch.stack(found).clone()


def teach_endings(model: Any, *, last: int, states: Any, end: int) -> None:
    """Write the rows of lm_head: chains of tokens, each following the one before.

    `states` choose the chain.
    """
    import torch

    pieces = iter(range(FIRST_PIECE, VOCABULARY))
    rows, embeds = model.lm_head.weight, model.model.embed_tokens.weight
    centre = states.mean(0)
    _, scales, directions = torch.linalg.svd(states - centre, full_matrices=False)
    scales = scales[:DIRECTIONS] / len(states) ** 0.5
    with torch.no_grad():
        for length in LENGTHS:
            chain = [next(pieces) for _ in range(length)]
            choice = (torch.randn(DIRECTIONS) / scales) @ directions[:DIRECTIONS]
            choice -= centre * (choice @ centre) / (centre @ centre)  # the same for every prompt: decides nothing
            rows[chain[0]] = PULL * unit(embeds[last]) + SPREAD * choice / DIRECTIONS**0.5
            for before, after in itertools.pairwise(chain):
                rows[after] = PULL * unit(embeds[before])
            rows[end] += PULL * unit(embeds[chain[-1]])


def unit(vector: Any) -> Any:
    """Return a vector of length one in the same direction."""
    return vector / vector.norm()


def calibrate(model: Any, folder: Path, *, seed: int) -> list[int]:
    """Set the model's endings; return the number of tokens of each calibration answer."""
    import torch
    from llava.mm_utils import tokenizer_image_token
    from PIL import Image
    from transformers import CLIPImageProcessor, LlamaTokenizer

    chance = random.Random(seed + 1)
    tokenizer, processor = LlamaTokenizer.from_pretrained(folder), CLIPImageProcessor.from_pretrained(folder)
    torch.manual_seed(seed)
    prompts, images = [], []
    for number in range(6):
        image = Image.open(io.BytesIO(picture(chance)))
        for thing in THINGS[:2]:
            text = f"A chat. USER:  <image> Is there a {thing} number {number} in the image? ASSISTANT: "
            prompts.append(tokenizer_image_token(text, tokenizer, -200))
            images.append(processor(image, return_tensors="pt")["pixel_values"][0])
    states = last_states(model, prompts, images)
    teach_endings(model, last=prompts[0][-1], states=states, end=tokenizer.eos_token_id)
    lengths = []
    for tokens, image in zip(prompts[::2], images[::2], strict=True):
        with torch.inference_mode():
            found = model.generate(
                torch.tensor([tokens]), images=image[None], do_sample=False, max_new_tokens=64, use_cache=True
            )
        lengths.append(found.shape[1] - 1)
    return lengths


def make(out: Path, size: honest_model.Size, *, seed: int) -> list[int]:
    """Write tower and model into a hub cache below `out`.

    Returns the lengths of some answers.
    """
    import torch

    from vldock.image.standin.recipe import hub, llava_model
    from vldock.image.standin.recipe import tower as recipe
    from vldock.image.standin.recipe.tokenizer import train_tokenizer, write_tokenizer

    torch.manual_seed(seed)
    cache = out / "huggingface"
    with tempfile.TemporaryDirectory(dir=out) as name:
        recipe.write_tower(honest_model.tower(size.tower_layers).half().float(), Path(name))
        hub.install(Path(name), recipe.REPOSITORY, cache)
    with tempfile.TemporaryDirectory(dir=out) as name:
        folder = Path(name)
        write_tokenizer(folder, train_tokenizer())
        (folder / "preprocessor_config.json").write_text(json.dumps(recipe.PREPROCESSOR), encoding="utf-8")
        model = language(size)
        lengths = calibrate(model, folder, seed=seed)
        (folder / "preprocessor_config.json").unlink()
        llava_model.write_llava(model, folder)
        del model
        hub.install(folder, llava_model.STANDINS[0].repository, cache)
    return lengths


def main() -> None:
    """Make everything below --out and print a summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, required=True, help="4096; less only to try the recipe")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--tower-layers", type=int, required=True)
    for name in QUESTIONS_AN_IMAGE:
        parser.add_argument(f"--{name.lower().replace('_', '-')}", type=int, required=True, help="images", dest=name)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ.update(dict.fromkeys(CACHES, str(args.out / "huggingface")))
    os.environ.update(dict.fromkeys(SWITCHES, "1"))
    accepted = tables(
        args.out / "LMUData",
        {name: getattr(args, name) for name in QUESTIONS_AN_IMAGE},
        chance=random.Random(args.seed),
    )
    size = honest_model.Size(layers=args.layers, tower_layers=args.tower_layers, width=args.width)
    lengths = make(args.out, size, seed=args.seed)
    if len(set(lengths)) < 3 or max(lengths) >= 64:
        raise SystemExit(f"answers of {lengths} tokens: not the mixture that was meant")
    print(json.dumps({"accepted": accepted, "lengths": lengths}))


if __name__ == "__main__":
    main()
