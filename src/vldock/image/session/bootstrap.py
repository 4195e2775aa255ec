"""Start of the server, with everything imported once for all runs."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from functools import partial

from vldock.image.events import make_emitter
from vldock.image.session import evaluator, server_socket, socket_paths
from vldock.image.session.server import Server
from vldock.image.session.worker_process import WorkerProcess
from vldock.image.startup import prepare as startup

# Modules that VLMEvalKit, or vldock, imports inside functions between a question and its score.
LATE_IMPORTS = (
    *("openpyxl", "xlsxwriter", "pandas.io.formats.excel", "pandas.io.formats.css", "pandas.io.formats.csvs"),
    *("encodings.cp437", "encodings.unicode_escape", "encodings.utf_16_le", "pandas.io.excel._openpyxl"),
    *("pandas.io.excel._xlsxwriter", "vldock.common.passport", "vldock.image.engines.vlmeval_loop"),
    *("vldock.image.answering.options", "vldock.image.llava_hooks.loading", "vldock.image.standin.activate"),
    *("vldock.image.vlmeval_hooks.run.sample_limit", "vldock.image.vlmeval_hooks.models.own_models"),
    *("vldock.image.vlmeval_hooks.provenance.passport", "vldock.image.vlmeval_hooks.process.placement"),
)
NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # count GPUs by NVML: initialising CUDA would break every fork


def serve(*, models: Sequence[str], idle_limit: float | None) -> int:
    """Serve until stopped; return the exit status."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout.flush()
    os.dup2(2, 1)  # libraries' output is not an event
    emit = make_emitter(events, as_json=True)
    startup.prepare()
    paths = socket_paths.make(os.environ)
    lock = server_socket.lock(paths)
    run_evaluator = partial(evaluator.run, paths=paths, server_environ=dict(os.environ))
    worker = WorkerProcess(server_socket.listen(paths.questions), models, events=events.fileno())
    server = Server(paths, lock=lock, worker=worker, run_evaluator=run_evaluator, emit=emit, idle_limit=idle_limit)
    emit("starting", models=list(models), pid=os.getpid(), socket=paths.runs)
    worker.start()  # its imports and loads run in parallel to ours
    _import_everything()
    return server.run()


def _use_tables() -> None:
    """Write and read a workbook, to fill caches.

    Forks inherit the caches of pandas, openpyxl and `re`.
    """
    import pandas

    from vldock.image.vlmeval_hooks.files import text_cells

    book = io.BytesIO()
    text_cells.write_workbook(pandas.DataFrame({"index": [0, 1], "prediction": ["a", "b"]}), book)
    text_cells.read_workbook(book).to_csv(io.StringIO(), sep="\t", index=False)


def _import_everything() -> None:
    """Import all modules of an evaluation, without touching the GPU.

    Forks inherit them.
    """
    os.environ[NVML] = "1"
    import torch
    from PIL import Image
    from vlmeval import run  # noqa: F401

    from vldock.image.process import lazy_imports
    from vldock.image.vlmeval_hooks.provenance import specs

    lazy_imports.import_all()
    for name in LATE_IMPORTS:
        importlib.import_module(name)
    Image.init()
    specs.code_spec()
    _use_tables()
    if torch.cuda.is_initialized():
        raise RuntimeError("importing VLMEvalKit touched the GPU: an evaluator, which is a fork, could not")
    gc.collect()
    gc.freeze()
