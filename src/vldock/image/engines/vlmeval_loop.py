"""Inference by an engine, in place of VLMEvalKit's loop.

Called by infer_data() as patched.
Answers go into VLMEvalKit's own checkpoint as they arrive, each after its note, so that every saved answer has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from vldock.image import engines
from vldock.image.answering.types import COMPUTED, HELD, READ, Answer, Question
from vldock.image.vlmeval_hooks.files import atomic, table_images
from vldock.image.vlmeval_hooks.provenance import prompts, sample_notes


def answer_rows(
    model: Any, dataset: Any, data: Any, results: MutableMapping[Any, str], *, folder: str, name: str, out_file: str
) -> bool:
    """Answer all rows of `data` with the model's engine.

    Answers go into `results` and `out_file`. Returns False for a model without an engine.
    The engine's exceptions pass through, after the answers so far have been saved.
    """
    engine = engines.engine_of(model, name)
    if engine is None:
        return False
    from tqdm import tqdm  # type: ignore[import-untyped]
    from vlmeval.smp import dump

    seen = Counter[str]()
    indices = {str(index): index for index in data["index"]}
    cadence, path = atomic.Cadence(len(data)), prompts.path_of(folder, name, dataset.dataset_name)
    watch, saved = getattr(model, "_vldock_watch", None), False
    if watch is not None:
        watch.on_question()
    with tqdm(total=len(indices), desc=f"Infer {name}/{dataset.dataset_name}") as bar:
        try:
            for answer in engine.answers(make_questions(model, dataset, data, results)):
                saved = False
                _save(answer, results, indices, path)
                seen.update(count_lookups(answer.note))
                bar.update()
                if watch is not None:
                    watch.on_answer()
                saved = not answer.more and cadence.due()
                if saved:
                    dump(results, out_file)
        finally:
            if not saved:
                dump(results, out_file)
    if seen:
        print(f"vision features of {dataset.dataset_name}: {describe_lookups(seen)}", flush=True)
    return True


def count_lookups(note: Mapping[str, Any]) -> dict[str, int]:
    """Return {source: images} of a sample's feature look-ups.

    Empty without the feature cache.
    """
    return {word: count for word, count in note.get("features", {}).items() if isinstance(count, int)}


def describe_lookups(seen: Mapping[str, int]) -> str:
    """Return the counts of feature look-ups as text.

    For example, "12 read from the cache, 3 computed, 0 held in memory".
    """
    return (
        f"{seen.get(READ, 0)} read from the cache, {seen.get(COMPUTED, 0)} computed, {seen.get(HELD, 0)} held in memory"
    )


def make_questions(model: Any, dataset: Any, data: Any, results: MutableMapping[Any, str]) -> Iterator[Question]:
    """Yield the rows of `data` with the prompts of VLMEvalKit's own loop.

    A row without its image is recorded in `results` as failed.
    """
    seen = set()
    own = hasattr(model, "use_custom_prompt") and model.use_custom_prompt(dataset.dataset_name)
    own = own and not getattr(dataset, "force_use_dataset_prompt", False)
    for i in range(len(data)):
        line = data.iloc[i]
        index = line["index"]
        if index in seen:
            continue
        seen.add(index)
        if table_images.record_if_lost(dataset, line, results):
            continue
        message = model.build_prompt(line, dataset=dataset.dataset_name) if own else dataset.build_prompt(line)
        yield Question(index, message, dataset.dataset_name)


def _save(answer: Answer, results: MutableMapping[Any, str], indices: dict[str, Any], path: Path) -> None:
    sample_notes.append(path, answer.note)
    sample_notes.warn_if_cut(answer.note, answer.note.get("limit"))
    results[indices[str(answer.index)]] = answer.text
