"""Devices of a run: GPUs, or shares of the CPU.

GPUs are this machine's, one by one. The cells to run are in plan.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.common.machine.nvidia_smi import UUID, parse_gpu_list
from vldock.host.docker_engine import client as docker_client
from vldock.host.util.process import Runner, capture

PROC = Path("/proc/driver/nvidia/gpus")
SPARE = 0.9  # of the memory, shared among CPU devices; the rest is the machine's own
MODES = "auto, off, or a number of devices: 2"
MOST_WORKERS, CELLS_A_WORKER = 4, 8  # of stand-ins: a worker starts in some 5 s, and a cell takes it less than one

List = Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Placement:
    """Distribution of a run: CPU workers, containers, cells on several devices at once.

    `data_parallel` is 'auto' (where it ends sooner), 'off', or a number of devices for every cell.
    """

    workers: int = 1
    spread: bool = True
    data_parallel: str = "auto"

    def __post_init__(self) -> None:
        if self.data_parallel not in ("auto", "off") and not (self.data_parallel.isdecimal() and self.group >= 1):
            raise UsageError(f"--data-parallel {self.data_parallel}", expected=MODES)

    @property
    def group(self) -> int:
        """Number of devices of every cell."""
        return int(self.data_parallel) if self.data_parallel.isdecimal() else 1


@dataclass(frozen=True)
class Device:
    """A place for one container at a time.

    `gpus` is what `docker run --gpus` gets; `threads` and `memory` (bytes) are its share, None for no limit; `ranks` is
    how many processes share a cell there, each with a GPU or a share of the threads of its own.
    """

    name: str
    gpus: str = "none"
    threads: int | None = None
    memory: int | None = None
    ranks: int = 1


@dataclass(frozen=True)
class Machine:
    """Resources to share out: CPU cores and bytes of memory."""

    cores: int
    memory: int | None = None


def find_devices(gpus: str, where: Placement, machine: Machine, *, listed: List | None = None) -> tuple[Device, ...]:
    """Return the devices of `gpus` ('none', 'all', or numbers and UUIDs).

    Raises UsageError for workers on GPUs, and for groups that the devices do not make up.
    """
    if gpus == "none":
        return group_devices(_cpus(where.workers, machine), where.group)
    if where.workers != 1:
        raise UsageError(
            f"--workers {where.workers} with --gpus {gpus}",
            expected="--workers with --gpus none: each GPU is a worker already",
            hint="--gpus 0,1 chooses GPUs; --no-spread gives all of them to one container",
        )
    names = list((listed or list_gpus)()) if gpus == "all" else gpus.split(",")
    if not where.spread or len(names) < 2:
        return group_devices([Device("gpu0" if len(names) < 2 else "gpus", gpus)], where.group)
    share = max(1, machine.cores // len(names))
    alone = [Device(f"gpu{name if name.isdecimal() else n}", name, share) for n, name in enumerate(names)]
    return group_devices(alone, where.group)


def workers_for_standins(cells: int, machine: Machine) -> int:
    """Return the number of CPU shares that stand-in cells keep busy.

    Their models take next to no memory.
    """
    return min(MOST_WORKERS, machine.cores, max(1, cells // CELLS_A_WORKER))


def _cpus(workers: int, machine: Machine) -> list[Device]:
    if workers == 1:
        return [Device("cpu0")]
    memory = int(SPARE * machine.memory) // workers if machine.memory else None
    return [Device(f"cpu{n}", threads=max(1, machine.cores // workers), memory=memory) for n in range(workers)]


def group_devices(devices: Sequence[Device], size: int) -> tuple[Device, ...]:
    """Return the devices joined by `size`; raises UsageError where not divisible."""
    if size == 1:
        return tuple(devices)
    if len(devices) % size:
        raise UsageError(
            f"--data-parallel {size} with {len(devices)} devices",
            expected=f"a number of devices that {size} divides",
            hint="--gpus or --workers says how many devices there are",
        )
    return tuple(join_devices(devices[start : start + size]) for start in range(0, len(devices), size))


def join_devices(devices: Sequence[Device]) -> Device:
    """Return several devices as one, for a cell spread over them.

    A process runs on each.
    """
    threads, memory = [d.threads for d in devices], [d.memory for d in devices]
    return Device(
        "+".join(device.name for device in devices),
        "none" if devices[0].gpus == "none" else ",".join(device.gpus for device in devices),
        None if None in threads else sum(t or 0 for t in threads),
        None if None in memory else sum(m or 0 for m in memory),
        ranks=len(devices),
    )


def list_gpus(*, run: Runner = capture, proc: Path = PROC) -> list[str]:
    """Return the UUIDs of this machine's GPUs, or of their MIG slices.

    None with a remote engine.
    """
    if docker_client.socket_path(docker_client.endpoint()) is None:
        return []
    answer = run(["nvidia-smi", "-L"])
    if answer.ok:
        return parse_gpu_list(answer.stdout)
    texts = [path.read_text(encoding="utf-8") for path in sorted(proc.glob("*/information"))]
    return [match[1] for text in texts if (match := UUID.search(text))]
