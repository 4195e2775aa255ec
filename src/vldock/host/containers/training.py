"""Container of `vldock train`.

Its data are read-only; its checkpoints go to a folder of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vldock.common.cache_env import WORKSPACE
from vldock.common.errors import UsageError
from vldock.common.image_paths import CHECKPOINTS, CHECKPOINTS_VARIABLE
from vldock.host.containers import terminal
from vldock.host.containers.spec import Mount, Spec

# not --standalone: it looks up the container's own name, which fails where there is no network
TORCHRUN = ("torchrun", "--nnodes=1", "--master_addr=127.0.0.1", "--master_port=29500")
CONFIG = f"{WORKSPACE}/train.yaml"


def make_spec(
    words: Sequence[str],
    *,
    image: str,
    config: Path | None,
    data: Path | None,
    models: Path | None,
    checkpoints: Path,
    cache: Path | None,
    env_file: Path | None,
    check: bool,
    print_config: bool,
    export: str | None,
    processes: int,
    user: str,
    gpus: str,
    network: str | None,
) -> Spec:
    """Return the container that trains, checks or exports; `checkpoints` is made where missing.

    Raises UsageError for a file or folder that is not there: docker would make an empty folder of it.
    """
    plain = terminal.make_spec(
        (), image=image, env={}, outputs=None, data=None, cache=cache, env_file=env_file, user=user, gpus=gpus,
        network=network,
    )  # fmt: skip
    mounts = list(plain.mounts)
    if config is not None:
        if not config.is_file():
            raise UsageError(f"--config {config}: no such file", expected="a YAML file of settings")
        mounts.append(Mount(config.resolve(), CONFIG, read_only=True))
    for option, folder, name, locked in (("--data", data, "data", True), ("--models", models, "models", not export)):
        if folder is not None:
            if not folder.is_dir():
                raise UsageError(f"{option} {folder}: no such folder", expected="a folder of this machine")
            mounts.append(Mount(folder.resolve(), f"{WORKSPACE}/{name}", read_only=locked))
    checkpoints.mkdir(parents=True, exist_ok=True)
    mounts.append(Mount(checkpoints.resolve(), CHECKPOINTS))
    env = {CHECKPOINTS_VARIABLE: CHECKPOINTS}
    env |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} if processes > 1 else {}
    first = ["--print-config"] if print_config else ["--check"] if check else []
    argv = tuple(command([*first, *words], config=config is not None, export=export, processes=processes))
    return replace(plain, argv=argv, role="train", mounts=tuple(mounts), env=env)


def command(words: Sequence[str], *, config: bool, export: str | None, processes: int) -> list[str]:
    """Return the command inside the container."""
    if export:
        return ["python", "-m", "vldock.image", "train", "export", export, *words]
    launcher = [*TORCHRUN, f"--nproc_per_node={processes}"] if processes > 1 else ["python"]
    options = ["--config", CONFIG] if config else []
    return [*launcher, "-m", "vldock.image", "train", *options, *words]
