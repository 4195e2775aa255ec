"""Processes of one run (torchrun).

Their GPUs, backend, synchronization and failures.
Each rank answers every n-th row, rank 0 scores. Without a GPU for each rank they communicate through gloo, so that all
of it can be tried on a CPU; upstream supports NCCL only.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from vldock.common.errors import EvaluationFailed
from vldock.common.filesystem.atomic import write_bytes
from vldock.common.machine.nvidia_smi import parse_gpu_list
from vldock.image.vlmeval_hooks.process import error_lines

PLACED = "VLDOCK_RANK_GPUS"  # own, shared or none: set once GPUs are assigned
LOOPBACK = "GLOO_SOCKET_IFNAME"
TIMEOUT = "3600"

_state = {"kept": False, "together": True}


def rank() -> int:
    """Return this process's rank."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of ranks."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def assign_gpus(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set CUDA_VISIBLE_DEVICES to this rank's share of the GPUs.

    Call it before torch looks for GPUs. A second call does nothing.
    """
    local_ranks = int(environ.get("LOCAL_WORLD_SIZE", "1"))
    if local_ranks < 2 or environ.get(PLACED):
        return
    gpus = visible_gpus(environ)
    own, how = share_gpus(gpus, int(environ.get("LOCAL_RANK", "0")), local_ranks)
    environ[PLACED] = how
    if own:
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(own)


def visible_gpus(environ: MutableMapping[str, str]) -> list[str]:
    """Return the GPUs available to this process.

    CUDA_VISIBLE_DEVICES if set, else the machine's.
    """
    asked = environ.get("CUDA_VISIBLE_DEVICES")
    if asked is not None:
        return [name for name in (part.strip() for part in asked.split(",")) if name and name != "-1"]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpu_list(listing.stdout)


def share_gpus(gpus: Sequence[str], local_rank: int, local_ranks: int) -> tuple[list[str], str]:
    """Return the GPUs of one of `local_ranks` processes, and their sharing.

    The sharing is "own", "shared" or "none".
    """
    if not gpus:
        return [], "none"
    if len(gpus) < local_ranks:
        return [gpus[local_rank % len(gpus)]], "shared"
    each = len(gpus) // local_ranks
    return list(gpus[each * local_rank : each * (local_rank + 1)]), "own"


def choose_backend() -> str:
    """Return nccl where every rank uses its own GPU, else gloo."""
    import torch

    own = os.environ.get(PLACED, "own") == "own" and not os.environ.get("VLDOCK_DEVICE", "").startswith("cpu")
    return "nccl" if own and torch.cuda.is_available() else "gloo"


def join() -> None:
    """Join the process group, once."""
    from torch import distributed

    if distributed.is_initialized():
        return
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        # one machine: its name need not resolve, and with --network none it does not
        os.environ["MASTER_ADDR"] = "127.0.0.1"
        os.environ.setdefault(LOOPBACK, "lo")
    seconds = int(os.environ.get("DIST_TIMEOUT") or TIMEOUT)
    distributed.init_process_group(backend=choose_backend(), timeout=timedelta(seconds=seconds))


def leave() -> None:
    """Leave the process group, except in a run of many cells.

    Such a run keeps it (`joined`).
    """
    from torch import distributed

    if not _state["kept"] and distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def joined() -> Iterator[None]:
    """Keep the ranks joined from cell to cell.

    VLMEvalKit joins and leaves for each, which can be done only once.
    """
    if world_size() == 1:
        yield
        return
    join()
    _state["kept"] = True
    try:
        yield
    finally:
        _state["kept"] = False
    leave()  # not after an exception: the others may wait where this one will never come


def broadcast(text: str) -> str:
    """Return rank 0's text on every rank."""
    if world_size() == 1:
        return text
    from torch import distributed

    join()
    box = [text]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def mark_diverged() -> None:
    """Mark that ranks diverged at the start of a cell; see `in_sync`.

    Until the cell's answers are gathered every rank is needed.
    """
    _state["together"] = False


def mark_joined() -> None:
    """Mark that the cell's answers are all written.

    The rest is rank 0's own work.
    """
    _state["together"] = True


def in_sync() -> bool:
    """Return whether the ranks can begin another cell together."""
    return world_size() == 1 or _state["together"]


def raise_if_diverged(error: BaseException) -> None:
    """Raise EvaluationFailed if this rank failed before gathering the answers.

    The error has the cause.
    The others wait for it at a barrier; torchrun ends them when it is gone. With one process nothing happens.
    """
    if not in_sync():
        raise EvaluationFailed(f"rank {rank()} of {world_size()}: {error_lines.one_line(error)}") from error


def gather_answers(folder: Path, model: str, benchmark: str) -> None:
    """Merge answers left by another number of processes.

    They go into the file each rank reads.
    """
    mine = {f"{number}{world_size()}" for number in range(world_size())}
    left = re.compile(rf"(\d+)_{re.escape(benchmark)}\.pkl")
    found = [path for path in sorted(folder.iterdir()) if (match := left.fullmatch(path.name)) and match[1] not in mine]
    if not found:
        return
    target = folder / f"{model}_{benchmark}_PREV.pkl"
    answers = pickle.loads(target.read_bytes()) if target.exists() else {}
    for path in found:
        answers.update(pickle.loads(path.read_bytes()))
    write_bytes(target, pickle.dumps(answers))
    for path in found:
        path.unlink()
