"""`python -m vldock.image predict`: images and a question in, run.py's answer out.

Standard output carries the answer only. Exit status: 0 answered, 1 the model failed, or some of --questions did,
2 wrong arguments, 3 unfit environment (offline, no GPU), 4 refused (an image, weights), 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.common.prompt_style import TEMPLATES
from vldock.image.startup import prepare as startup

if TYPE_CHECKING:
    from vldock.image.predict.batch import BatchLine
    from vldock.image.predict.model import Loaded
    from vldock.image.predict.pictures import PictureReader
    from vldock.image.predict.request import Request

INTERRUPTED = 130
MODEL = "llava_v1.5_7b"
LARGEST, LONGEST = 50_000_000, 30.0  # bytes of an image, seconds of a download


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    add = parser.add_argument
    add("question", nargs="?", metavar="QUESTION", help="default, or for `-`: standard input")
    add("--image", action="append", default=[], help="file, URL, data: URI, or - for standard input; several: again")
    add(
        "--model",
        default=MODEL,
        help="7b, 13b, sharegpt4v, a model's name (InternVL2-2B), ORG/NAME, a folder, or a name in weights/ or models/",
    )
    add("--model-base", metavar="NAME", help="the model an adapter was trained on (default: as the adapter says)")
    add("--prompt", choices=TEMPLATES, help="wording of the question (default: $VLDOCK_PROMPT, else vlmevalkit)")
    add("--max-new-tokens", type=int, metavar="N", help="the longest answer (default: as run.py)")
    add("--questions", metavar="FILE", help='JSONL: {"id": ..., "image": ..., "question": ...}; - for standard input')
    add("--out", type=Path, metavar="FILE", help="JSONL of answers; the same command resumes it")
    add("--max-bytes", type=int, default=LARGEST, metavar="N", help="the largest image (default: %(default)s)")
    add("--timeout", type=float, default=LONGEST, metavar="S", help="seconds for an image's URL (default: %(default)s)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--json", action="store_true", help="one object: answer, tokens, seconds, model, prompt hash ..."
    )
    shape.add_argument("--stream", action="store_true", help="words as they come (default on a terminal)")
    shape.add_argument("--no-stream", action="store_true", help="the whole answer at once")


def main(args: argparse.Namespace) -> int:
    """Answer and return the exit status."""
    _check(args)
    try:
        return _many(args) if args.questions else _one(args)
    except KeyboardInterrupt:
        print("error: interrupted; answers in --out are kept, the same command continues", file=sys.stderr)
        return INTERRUPTED


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for contradictory arguments."""
    if args.max_new_tokens is not None and args.max_new_tokens < 1:
        raise UsageError(f"--max-new-tokens {args.max_new_tokens}", expected="a whole number of at least 1")
    if args.questions and (args.question is not None or args.image or args.stream or args.json):
        raise UsageError("--questions goes alone", expected="images and questions in the file, answers in --out")
    if bool(args.questions) != bool(args.out):
        raise UsageError("--questions and --out go together", hint="for one answer: > FILE")
    if args.image.count("-") > (args.question not in (None, "-")):
        raise UsageError(
            "standard input can be one thing: an image or the question",
            hint="give the question as an argument, or the image as a file",
        )


def _one(args: argparse.Namespace) -> int:
    request = _request(args)
    with _answers() as out, _reader(args).gather(request.images) as pictures:
        live = args.stream or (out.isatty() and not (args.json or args.no_stream))

        def show(text: str) -> None:
            print(text, end="", file=out, flush=True)

        _find(args.model, request)
        model = _load(args)
        if args.stream and not model.streams:
            print(f"note: {model.place.name} decodes by beam search: its answer comes whole", file=sys.stderr)
        answer = model.answer(request, pictures, on_text=show if live else None)
        for note in answer.notes:
            print(f"note: {note}", file=sys.stderr, flush=True)
        if args.json:
            told = {**answer.as_json(), "load_seconds": model.seconds}
            print(json.dumps(told, ensure_ascii=False), file=out)
        else:
            print("" if live else answer.answer, file=out)
    return 0


def _many(args: argparse.Namespace) -> int:
    from vldock.image.predict import batch

    lines, folder = _lines(args.questions)
    _require_writable(args.out)
    with _answers():
        images = _reader(args, folder)
        model = _load(args)
        answered, kept, failed = batch.run(lines, args.out, partial(model.ask, images=images), model.identity())
    print(f"{answered} answered, {kept} kept, {failed} failed: {args.out}", file=sys.stderr)
    return 1 if failed else 0


def _request(args: argparse.Namespace) -> Request:
    from vldock.image.predict.request import Request

    question = args.question
    if question in (None, "-"):
        alone = question is None and not args.image
        if sys.stdin.isatty():
            if alone and (image := _ask("an image (a file or a URL; Enter for none): ")):
                args.image = [image]
            print("the question, then Ctrl-D:", file=sys.stderr)
        question = sys.stdin.read().strip()
        if alone and not question:
            raise UsageError(
                "no image and no question",
                expected=f'python {sys.argv[0]} --image PICTURE "What is in the picture?"',
                hint=f"--help shows the rest; {args.model} is then read from the cache, or downloaded into it",
            )
    return Request(question, tuple(args.image))


def _ask(text: str) -> str:
    print(text, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _lines(name: str) -> tuple[list[BatchLine], Path]:
    """Return the lines of questions, and the folder of their images."""
    from vldock.image.predict import batch

    if name == "-":
        return batch.read(sys.stdin, "standard input"), Path()
    if not Path(name).is_file():
        raise UsageError(f"--questions {name}: no such file", expected="JSONL, one question a line")
    with Path(name).open(encoding="utf-8") as stream:
        return batch.read(stream, name), Path(name).parent


def _require_writable(out: Path) -> None:
    """Raise EnvironmentUnfit where answers cannot be written.

    It is called before a model is loaded.
    """
    try:
        with out.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise EnvironmentUnfit(f"--out {out}: {error.strerror}", expected="a file that can be written") from error


@contextmanager
def _answers() -> Iterator[TextIO]:
    """Yield standard output; prints of libraries go to standard error."""
    startup.prepare()
    sys.stdout.flush()
    kept = os.dup(1)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        try:
            yield out
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


def _reader(args: argparse.Namespace, folder: Path = Path()) -> PictureReader:
    from vldock.image.predict.image_download import DownloadLimits
    from vldock.image.predict.pictures import PictureReader

    return PictureReader(folder, DownloadLimits(args.max_bytes, args.timeout))


def _find(name: str, request: Request) -> None:
    """Raise UsageError for a model that cannot read the request's images, before it is loaded."""
    from vldock.image.predict import model

    model.find(name, request)


def _load(args: argparse.Namespace) -> Loaded:
    from vldock.image.predict import model

    return model.load(args.model, base=args.model_base, prompt=args.prompt, max_new_tokens=args.max_new_tokens)
