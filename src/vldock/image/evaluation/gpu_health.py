"""Is the GPU still there? After some errors a process can do nothing more on it, and every cell that follows fails."""

from __future__ import annotations

from vldock.common.errors import EnvironmentUnfit
from vldock.image.vlmeval_hooks.process import error_lines


class DeviceLost(EnvironmentUnfit):
    """The GPU does not answer this process any more; another process, or another GPU, may do the cell."""


def require_alive() -> None:
    """Raise DeviceLost when CUDA is in use and does the smallest thing no more; memory that is full is no loss."""
    import torch

    if not torch.cuda.is_initialized():
        return
    try:
        torch.zeros(1, device="cuda").item()
    except torch.cuda.OutOfMemoryError:
        return
    except RuntimeError as error:
        raise DeviceLost(
            f"the GPU is lost: {error_lines.one_line(error)}", hint="nvidia-smi; dmesg | grep NVRM"
        ) from error
