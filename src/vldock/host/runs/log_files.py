"""logs/<model>.log: output of all containers of a model.

While several run, each writes a separate file.
"""

from __future__ import annotations

import os
import shutil

from vldock.host.runs.folder import RunFolder

SUFFIX = ".log"


def name_of(model: str, device: str) -> str:
    """Return the log name of a container among several: <model>@<device>.log."""
    return f"{model}@{device}{SUFFIX}"


def merge(folder: RunFolder, model: str, name: str, *, device: str, user: str | None) -> None:
    """Append a container's log to its model's and remove it.

    A line above it names the device.
    """
    part, whole = folder.path / "logs" / name, folder.model_log(model)
    if not part.is_file():
        return
    with part.open("rb") as source, whole.open("ab") as target:
        target.write(f"----- on {device} -----\n".encode())
        shutil.copyfileobj(source, target)
    part.unlink()
    uid, _, gid = (user or "").partition(":")
    if os.geteuid() == 0 and uid.isdecimal():
        os.chown(whole, int(uid), int(gid) if gid.isdecimal() else -1)


def gather(folder: RunFolder, user: str | None) -> None:
    """Append the logs left by a killed run, so that nothing is overwritten."""
    for part in sorted((folder.path / "logs").glob(f"*@*{SUFFIX}")):
        model, _, device = part.name.removesuffix(SUFFIX).partition("@")
        merge(folder, model, part.name, device=device, user=user)
