"""From `session serve` to the loop: what is imported before it begins, so that no run pays for it."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from functools import partial

from vldock.image.events import emitter
from vldock.image.session import evaluator, socket_paths
from vldock.image.session import server as server
from vldock.image.session.worker_process import WorkerProcess
from vldock.image.startup import prepare as startup

# What VLMEvalKit, or we, import in functions on the way from a question to its score.
USED_LATE = (
    *("openpyxl", "xlsxwriter", "pandas.io.formats.excel", "pandas.io.formats.css", "pandas.io.formats.csvs"),
    *("encodings.cp437", "encodings.unicode_escape", "encodings.utf_16_le", "pandas.io.excel._openpyxl"),
    *("pandas.io.excel._xlsxwriter", "vldock.common.passport", "vldock.image.engines.vlmeval_loop"),
    *("vldock.image.answering.options", "vldock.image.llava_hooks.loading", "vldock.image.standin.activate"),
    *("vldock.image.vlmeval_hooks.run.sample_limit", "vldock.image.vlmeval_hooks.models.own_models"),
    *("vldock.image.vlmeval_hooks.provenance.passport", "vldock.image.vlmeval_hooks.process.placement"),
)
NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # asks the driver's library; asking CUDA would spoil every fork


def serve(*, models: Sequence[str], idle_limit: float | None) -> int:
    """Be the session until it is stopped; return the exit status."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)  # what libraries print is no event
    emit = emitter(events, as_json=True)
    startup.prepare()
    where = socket_paths.of(os.environ)
    lock = server.hold(where)
    seen = dict(os.environ)
    questions = server.listen(where.questions)
    worker = WorkerProcess(questions, models, events=events.fileno())
    become = partial(evaluator.become, place=where, seen=seen)
    loop = server.Server(where, lock=lock, worker=worker, become=become, emit=emit, idle_limit=idle_limit)
    emit("starting", models=list(models), pid=os.getpid(), socket=str(where.runs))
    worker.start()  # its imports and loads run beside ours
    _import_everything()
    return loop.run()


def _use_tables() -> None:
    """Write and read a workbook: what pandas, openpyxl and `re` make at their first use, a fork then has."""
    import pandas

    from vldock.image.vlmeval_hooks.files import text_cells

    book = io.BytesIO()
    text_cells.write_workbook(pandas.DataFrame({"index": [0, 1], "prediction": ["a", "b"]}), book)
    text_cells.read_workbook(book).to_csv(io.StringIO(), sep="\t", index=False)


def _import_everything() -> None:
    """Import what an evaluation needs, and no GPU: a fork has it for nothing."""
    os.environ[NVML] = "1"
    import torch
    from PIL import Image
    from vlmeval import run  # noqa: F401

    from vldock.image.process import lazy_imports
    from vldock.image.vlmeval_hooks.provenance import specs

    lazy_imports.import_all()
    for name in USED_LATE:
        importlib.import_module(name)
    Image.init()
    specs.code_spec()
    _use_tables()
    if torch.cuda.is_initialized():
        raise RuntimeError("importing VLMEvalKit touched the GPU: an evaluator, which is a fork, could not")
    gc.collect()
    gc.freeze()
