"""Names after --model and --data as people type them, resolved before anything is loaded.

A name of VLMEvalKit's stays; so do a table of the user's in $LMUData and a model of --model NAME=FOLDER.
"""

from __future__ import annotations

import os
import sys

from vldock.common.errors import UsageError
from vldock.common.names import spellings, test_splits
from vldock.image.vlmeval_hooks.models import own_models

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUBMITTED = "is predicted for its official server and not scored: its answers are not public"
OFFICIAL = "MMBench"  # the test splits VLMEvalKit scores where the table in $LMUData holds all answers


def resolve(argv: list[str], environ: Mapping[str, str]) -> list[str]:
    """Return `argv` with VLMEvalKit's names, and print what was replaced in one line.

    Raises UsageError for a test split that would be predicted and not scored, unless by --mode infer.
    """
    values = list(_values(argv))
    infer = any(option == "--mode" and value == "infer" for _, option, value in values)
    own = own_models.declared_folders(environ)
    words, taken, said = list(argv), [], []
    for place, option, value in values:
        real = value
        if option == "--model" and value not in own:
            real = spellings.resolve_model(value)
        elif option == "--data":
            real = _resolve_benchmark(value, environ, infer=infer)
            said += [f"{value} {SUBMITTED}"] if value in test_splits.SUBMITTED and not infer else []
        words[place] = words[place].removesuffix(value) + real
        taken.append(real)
    if environ.get("RANK", "0") == "0":
        spellings.print_replaced([value for _, _, value in values], taken, *said)
    return words


def _values(argv: list[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (place, option, value) for each value of an option."""
    option = ""
    for place, word in enumerate(argv):
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            if equals:
                yield place, option, value
        else:
            yield place, option, word


def _resolve_benchmark(name: str, environ: Mapping[str, str], *, infer: bool) -> str:
    if name in test_splits.UNSCORED:
        if (
            infer
            or name in test_splits.SUBMITTED
            or (name.startswith(OFFICIAL) and _has_answers(_table(name, environ)))
        ):
            return name
        real = spellings.resolve_benchmark(name)
        if real == name:
            raise _unscored(name)
        return real
    real = spellings.resolve_benchmark(name)
    return name if real != name and os.path.isfile(_table(name, environ)) else real  # noqa: PTH113


def _unscored(name: str) -> UsageError:
    other = test_splits.UNSCORED[name]
    why = "its answers are not public" if other else "VLMEvalKit has no evaluation of it"
    scored = f"--data {other}, or " if other else ""
    return UsageError(f"--data {name}: {why}, nothing would be scored", hint=f"{scored}--mode infer to predict only")


def _table(name: str, environ: Mapping[str, str]) -> str:
    from vldock.common.cache_env import LMUDATA  # most runs need none

    return f"{environ.get('LMUData') or LMUDATA}/{name}.tsv"


def _has_answers(path: str) -> bool:
    """Return whether a table is there with an answer in each row."""
    import csv

    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8", newline="") as stream:  # noqa: PTH123  Path would import more
            answers = [row.get("answer") for row in csv.DictReader(stream, delimiter="\t")]
    except OSError:
        return False
    return bool(answers) and all(answers)
