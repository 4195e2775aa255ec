"""Health check of the GPU.

After some CUDA errors every later cell of the process fails.
"""

from __future__ import annotations

from vldock.common.errors import EnvironmentUnfit
from vldock.image.vlmeval_hooks.process import error_lines


class DeviceLost(EnvironmentUnfit):
    """The GPU no longer works in this process.

    Another process, or another GPU, may run the cell.
    """


def require_alive() -> None:
    """Raise DeviceLost when a trivial CUDA operation fails.

    Only where CUDA is initialised; out of memory is no loss.
    """
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
