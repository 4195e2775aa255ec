"""Figures of the kernel about this process and its container."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT, LARGEST_KEPT = 512 << 20, 256 << 20


def process_age() -> float:
    """Return the seconds since this process began, exact to 10 ms."""
    started = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def container_usage() -> dict[str, float]:
    """Return the container's peak memory and CPU time so far.

    Bytes and seconds, from its control group.
    """
    found = {}
    for name, file, unit in (
        ("memory_peak", "memory.peak", 1.0),
        ("memory_peak", "memory/memory.max_usage_in_bytes", 1.0),  # version 1 of control groups
        ("cpu_seconds", "cpuacct/cpuacct.usage", 1e-9),
    ):
        with suppress(OSError, ValueError):
            found[name] = int((GROUPS / file).read_text(encoding="ascii")) * unit
    with suppress(OSError, ValueError, KeyError):
        lines = (GROUPS / "cpu.stat").read_text(encoding="ascii").split("\n")
        used = dict(line.split() for line in lines if line)
        found["cpu_seconds"] = int(used["usage_usec"]) * 1e-6
    return found


def free_memory() -> int:
    """Return the free memory in bytes.

    That of the machine, or that below the container's limit.
    """
    return min(available_memory(), free_below_limit())


def available_memory() -> int:
    """Return the machine's available memory in bytes.

    OSError where the kernel does not report it.
    """
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no MemAvailable")


def free_below_limit() -> int:
    """Return the bytes below the container's memory limit.

    The limit of cgroup 2, then 1; a huge number without one.
    """
    for limit, usage in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if (GROUPS / limit).is_file():
            text = (GROUPS / limit).read_text(encoding="ascii").strip()
            if text != "max":
                return max(int(text) - int((GROUPS / usage).read_text(encoding="ascii")), 0)
    return 1 << 62


def count_oom_kills() -> int:
    """Return the number of OOM kills in this container.

    0 where they are not counted.
    """
    for file in ("memory.events", "memory/memory.oom_control"):
        with suppress(OSError):
            for line in (GROUPS / file).read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def keep_freed_memory() -> bool:
    """Keep freed memory in the C library instead of unmapping it.

    Blocks of up to 256 MiB, 512 MiB in total.
    glibc maps each large block separately and unmaps it when freed, so that a CPU faults in and zeroes the pages of
    every activation again: half of the time of a small vision tower. Returns whether the library accepted both
    settings.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, KEPT))


def resident_memory(number: int | None) -> int:
    """Return the resident bytes of a process; 0 where it has ended."""
    try:
        pages = Path(f"/proc/{number}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
