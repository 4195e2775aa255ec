"""One of torchrun's ranks: sums rank numbers over all ranks.

Rank 0 prints backend, count and sum.
torchrun --nproc_per_node=N ... -m vldock.image.selftest.ranks --backend nccl
"""

from __future__ import annotations

import argparse
import json
import os


def main() -> None:
    """Sum 1, 2, 3 ... over the ranks of a process group.

    Joins the group first, and prints the result on rank 0.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=("nccl", "gloo"), required=True)
    backend = parser.parse_args().backend

    import torch
    from torch import distributed

    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if backend == "nccl" else torch.device("cpu")
    distributed.init_process_group(backend=backend)
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    mine = torch.tensor([float(rank + 1)], device=device)
    distributed.all_reduce(mine)
    if rank == 0:
        print(json.dumps({"backend": distributed.get_backend(), "ranks": ranks, "sum": float(mine)}), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
