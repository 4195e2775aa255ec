"""VLMEvalKit: torchrun without NCCL, with all ranks' notes.

It has an exit code, and the notes of every rank.
"""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            """\
GPU_LIST = get_gpu_list()
if LOCAL_WORLD_SIZE > 1 and len(GPU_LIST):
    NGPU = len(GPU_LIST)
    assert NGPU >= LOCAL_WORLD_SIZE, "The number of processes should be less than or equal to the number of GPUs"
    GPU_PER_PROC = NGPU // LOCAL_WORLD_SIZE
    DEVICE_START_IDX = GPU_PER_PROC * LOCAL_RANK
    CUDA_VISIBLE_DEVICES = [str(i) for i in GPU_LIST[DEVICE_START_IDX: DEVICE_START_IDX + GPU_PER_PROC]]
    CUDA_VISIBLE_DEVICES = ','.join(CUDA_VISIBLE_DEVICES)
    # Set CUDA_VISIBLE_DEVICES
    os.environ['CUDA_VISIBLE_DEVICES'] = CUDA_VISIBLE_DEVICES
    print(
        f'RANK: {RANK}, LOCAL_RANK: {LOCAL_RANK}, WORLD_SIZE: {WORLD_SIZE},'
        f'LOCAL_WORLD_SIZE: {LOCAL_WORLD_SIZE}, CUDA_VISIBLE_DEVICES: {CUDA_VISIBLE_DEVICES}'
    )
""",
            """\
from vldock.image.vlmeval_hooks.process import ranks

ranks.assign_gpus()  # its own GPUs for each rank, before torch looks for them
""",
        ),
        Edit(
            """\
        dist.init_process_group(
            backend='nccl',
            timeout=datetime.timedelta(seconds=int(os.environ.get('DIST_TIMEOUT', 3600)))
        )
""",
            "        ranks.join()  # nccl, or gloo where there is no GPU for each\n",
        ),
        Edit(
            """\
            logger.info(f'----------- {dataset_name} -----------')
            if WORLD_SIZE > 1:
                dist.barrier()

            dataset = None
""",
            """\
            logger.info(f'----------- {dataset_name} -----------')
            if WORLD_SIZE > 1:
                dist.barrier()
            ranks.mark_diverged()

            dataset = None
""",
        ),
        Edit(
            """\
                # Only RANK 0 handles the evaluation part
""",
            """\
                ranks.mark_joined()
                # Only RANK 0 handles the evaluation part
""",
        ),
        Edit(
            """\
                continue

        if RANK == 0:
            log_run_benchmark_report(pred_root)

    if WORLD_SIZE > 1:
        dist.destroy_process_group()


def run_api_mode""",
            """\
                ranks.raise_if_diverged(e)
                continue

        if RANK == 0:
            log_run_benchmark_report(pred_root)

    if WORLD_SIZE > 1:
        ranks.leave()


def run_api_mode""",
        ),
    ),
    "vlmeval/inference.py": (
        Edit(
            """\
    if world_size > 1:
        dist.barrier()

    if rank == 0:
        data_all = {}
""",
            """\
    if world_size > 1:
        from vldock.image.vlmeval_hooks.provenance import prompts
        prompts.flush()  # rank 0 reads the notes of all when it writes the passport
        dist.barrier()

    if rank == 0:
        data_all = {}
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_gloo",
    package=VLMEVAL,
    reason=(
        "torchrun needs NCCL and so a GPU for each rank; a rank that fails leaves the others waiting at another "
        "barrier, and ends with 0"
    ),
    upstream="open-compass/VLMEvalKit: run_local_mode() in run.py, infer_data_job() in inference.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
