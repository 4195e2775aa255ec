"""Files of an engine started by hand.

Those of a killed engine are stale.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from vldock.host.docker_engine import client as docker_client
from vldock.host.util.console import Say

ENDING_SECONDS = 1.0  # the kernel kills a dockerd's containerd after it, not with it


@dataclass(frozen=True)
class EnginePaths:
    """Files of a hand-started engine.

    Another set makes a second engine beside the first.
    """

    socket: Path = Path(docker_client.DEFAULT_SOCKET)
    pidfile: Path = Path("/var/run/docker.pid")
    exec_root: Path = Path("/var/run/docker")
    log: Path = Path("/var/log/vldock-dockerd.log")
    options: tuple[str, ...] = ()

    @property
    def containerd_pidfile(self) -> Path:
        """The pid file of the containerd that dockerd starts for itself."""
        return self.exec_root / "containerd" / "containerd.pid"


def clear_stale(paths: EnginePaths, *, log: Say, proc: Path = Path("/proc")) -> list[Path]:
    """Remove pid files of other or dead processes; return those removed.

    dockerd refuses to start over a docker.pid whose number is taken, and waits for ever for a containerd it believes
    to be running. So a containerd whose dockerd is dead gets ENDING_SECONDS to end as well. One that is alive after
    that is kept: dockerd takes it up again.
    """
    removed = []
    if running_program(paths.pidfile, proc=proc) != "dockerd":
        _wait_for_end(paths.containerd_pidfile, "containerd", proc=proc)
    for pidfile, program in ((paths.pidfile, "dockerd"), (paths.containerd_pidfile, "containerd")):
        if pidfile.exists() and running_program(pidfile, proc=proc) != program:
            log(f"engine: {pidfile} is stale, removed")
            pidfile.unlink()
            removed.append(pidfile)
    return removed


def _wait_for_end(pidfile: Path, program: str, *, proc: Path) -> None:
    deadline = time.monotonic() + ENDING_SECONDS
    while running_program(pidfile, proc=proc) == program and time.monotonic() < deadline:
        time.sleep(0.05)


def running_program(pidfile: Path, *, proc: Path = Path("/proc")) -> str | None:
    """Return the program name of a pid file, or None.

    None means that the program has ended. A zombie runs no more, but still has its number: where process 1 reaps
    nobody, dockerd takes a dead containerd for a running one and waits for it in vain.
    """
    try:
        pid = int(pidfile.read_text(encoding="ascii").strip())
        before, _, after = (proc / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")
    except (OSError, ValueError):
        return None
    return None if after.split()[0] == "Z" else before.partition("(")[2]
