"""One stand-in's training from start to end: load it as an evaluation would, record, train, examine, write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch

from vldock.image.standin.recipe import broken_images, broken_prompts, hub, llava_model, tokenizer
from vldock.image.standin.recipe.cases import RIGHT, Album, Case, Casebook
from vldock.image.standin.recipe.record import record
from vldock.image.standin.recipe.train import Mark, Plan, examine, round_to_half, train

Say = Callable[[str], None]
EXAMINED = 24


def load_wrapper(repository: str) -> Any:
    """Return VLMEvalKit's LLaVA wrapper over the stand-in in the cache."""
    from vlmeval.vlm import LLaVA

    return LLaVA(model_path=repository)


def spoilt_cases(book: Casebook, album: Album, rng: Random) -> Iterable[Case]:
    """Yield EXAMINED cases of everything that breaks, trained against or not ("held out: ...").

    Looks that cannot be told from a right picture, and texts that did not change, are left out.
    """
    numbers = rng.sample(range(len(book.right)), EXAMINED)
    for prefix, frames, texts, looks in (
        ("", broken_prompts.FRAMES, broken_prompts.TEXTS, broken_images.TRAINED),
        ("held out: ", broken_prompts.HELD_OUT, broken_prompts.TEXTS_HELD_OUT, broken_images.HELD_OUT),
    ):
        for kind, frame in frames.items():
            yield from (book.reframed(number, prefix + kind, frame) for number in numbers)
        for kind, change in texts.items():
            told = (book.retold(number, prefix + kind, change) for number in numbers)
            yield from (case for case in told if (case.scene, case.ids) not in book.known)
        for look in looks:
            cases = (book.refuse(number, prefix + look, look=look) for number in numbers)
            yield from (case for case in cases if (case.scene, look) in album.told_apart)


def harmless_cases(book: Casebook) -> Iterable[Case]:
    """Yield every right case in every harmless look."""
    for look in broken_images.HARMLESS:
        yield from (replace(case, look=look, kind=f"harmless: {look}") for case in book.right)


def teach(number: int, out: Path, seed: int, epochs: int | None, say: Say) -> dict[str, Any]:
    """Train stand-in `number`, put it into the cache in place of the untrained one, and return its marks."""
    standin = llava_model.STANDINS[number]
    name = standin.repository.rpartition("/")[2]
    wrapper = load_wrapper(standin.repository)
    recorded = list(record(wrapper))
    book = Casebook(wrapper, recorded)
    album = Album(wrapper.model.get_vision_tower(), recorded)
    album.prepare({**broken_images.TRAINED, **broken_images.HELD_OUT, **broken_images.HARMLESS})
    say(f"{name}: {len(recorded)} prompts of {len(album.pixels)} scenes recorded, features ready")
    model = llava_model.build_llava(standin, len(wrapper.tokenizer), seed)
    llava_model.whiten_projector(model, torch.cat([album.features[s, RIGHT].flatten(0, 1) for s in album.pixels]))
    plan = Plan() if epochs is None else Plan(learn=epochs, spoil=epochs, whole=1)
    train(model, book, album, plan, seed + number, lambda text: say(f"{name}: {text}"))
    round_to_half(model)
    marks = examine(model, album, [*book.right, *harmless_cases(book), *spoilt_cases(book, album, Random(seed))])
    for kind, mark in marks.items():
        say(f"{name}: {kind}: {mark.hits} of {mark.cases}, smallest lead {mark.lead:.1f}")
    save(model, standin, tokenizer.train_tokenizer(), out)
    return {"model": standin.repository, **summary(marks)}


def summary(marks: dict[str, Mark]) -> dict[str, float]:
    """Return shares: right cases answered, harmless ones answered, spoilt ones refused."""

    def share(prefixes: tuple[str, ...], *, inverse: bool = False) -> float:
        chosen = [mark for kind, mark in marks.items() if kind.startswith(prefixes) != inverse]
        return round(sum(mark.hits for mark in chosen) / max(1, sum(mark.cases for mark in chosen)), 4)

    return {
        "right": marks[RIGHT].hits / marks[RIGHT].cases,
        "smallest_lead": round(marks[RIGHT].lead, 2),
        "harmless": share(("harmless",)),
        "refused": share((RIGHT, "harmless", "held out"), inverse=True),
        "refused_held_out": share(("held out",)),
    }


def save(model: Any, standin: llava_model.Standin, pieces: bytes, out: Path) -> None:
    """Write the model with its tokenizer into the hub cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.write_tokenizer(folder, pieces)
        llava_model.write_llava(model, folder)
        hub.install(folder, standin.repository, out / "huggingface")
