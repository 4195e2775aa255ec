"""Container of a job: one model on one device.

Its command is `python -m vldock.image evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vldock.common import cache_env
from vldock.common.inference_options import BATCH_VARIABLE, CACHE_VARIABLE, ENGINE_VARIABLE
from vldock.common.passport import IMAGE_VARIABLE
from vldock.common.prompt_style import VARIABLE as PROMPT_VARIABLE
from vldock.host.containers.spec import Spec, workspace_mounts
from vldock.host.matrix.executor import DeviceJob, Executor, LocalContainers
from vldock.host.runs.devices import Device
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan

ROLE = "matrix"


def spec(plan: RunPlan, *, folder: RunFolder, run_id: str, job: DeviceJob, benchmarks: Sequence[str] = ()) -> Spec:
    """Return the container of a job.

    Without `benchmarks` it reads their names from standard input.
    """
    inside = f"{cache_env.OUTPUTS}/{folder.name}"
    limit = ["--limit", str(plan.samples)] if plan.samples else []
    log = ["--log", job.log] if job.log else []
    device = job.device
    return Spec(
        image=plan.image_id,
        argv=(
            *launcher(device),
            *("evaluate", "--json", "--model", job.model),
            *("--data", *(benchmarks or ("-",)), *limit, "--out", inside, *log),
        ),
        role=ROLE,
        run_id=run_id,
        env={
            IMAGE_VARIABLE: plan.image_id,
            PROMPT_VARIABLE: plan.prompt,
            ENGINE_VARIABLE: plan.engine,
            CACHE_VARIABLE: str(int(plan.feature_cache)),
            BATCH_VARIABLE: "" if plan.batch_size is None else str(plan.batch_size),
            **({"VLDOCK_STANDIN": "1"} if plan.standin else {}),
            **({"OMP_NUM_THREADS": str(max(1, device.threads // device.ranks))} if device.threads else {}),
        },
        mounts=workspace_mounts(
            outputs=folder.path.parent,
            data=_path(plan.data),
            cache=_path(plan.cache),
            env_file=_path(plan.env_file),
            read_only_inputs=plan.read_only_inputs,
        ),
        user=plan.user,
        gpus=device.gpus,
        network=plan.network,
        stdin=not benchmarks,
        cpus=device.threads if device.gpus == "none" else None,
        memory=device.memory,
    )


def launcher(device: Device) -> tuple[str, ...]:
    """Return the start of an image command on a device.

    Torchrun where several processes share a cell.
    """
    if device.ranks == 1:
        return ("python", "-m", "vldock.image")
    return ("torchrun", "--standalone", "--nproc-per-node", str(device.ranks), "-m", "vldock.image")


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def local_executor(client: Any, plan: RunPlan, *, folder: RunFolder, run_id: str) -> Executor:
    """Return the executor that starts containers on this machine."""
    return LocalContainers(client, lambda job: spec(plan, folder=folder, run_id=run_id, job=job))
