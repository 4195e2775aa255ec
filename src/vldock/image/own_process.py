"""What the kernel knows of this process and of its container."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")


def age() -> float:
    """Return how many seconds ago this process began, 10 ms exactly."""
    started = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def container_usage() -> dict[str, float]:
    """Return the peak memory in bytes and the processor seconds of this container so far, by its control group."""
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
