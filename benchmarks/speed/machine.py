"""Facts about the machine of a measurement."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vldock.host.containers import lifecycle
from vldock.host.containers.spec import Spec
from vldock.host.images import local as local_images

VERSIONS = "import json, torch, transformers; print(json.dumps([torch.__version__, transformers.__version__]))"


def facts(client: Any, image: str, *, load: tuple[tuple[float, ...], tuple[float, ...]], **more: Any) -> dict[str, Any]:
    """Return processor, cores, memory, load, engine, image, and the image's torch.

    The load before and after.
    """
    spec = Spec(image=image, argv=("python", "-c", VERSIONS), role="speed", network="none")
    torch, transformers = json.loads(lifecycle.run_to_end(client, spec).stdout)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 1e9, 1),
        "load_before": [round(value, 2) for value in load[0]],
        "load_after": [round(value, 2) for value in load[1]],
        "engine": str(client.version()["Version"]),
        "image": str(local_images.find(client, image).attrs["Parent"] or image),
        "torch": torch,
        "transformers": transformers,
        **more,
    }


def processor() -> str:
    """Return the processor's name, as the kernel gives it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"
