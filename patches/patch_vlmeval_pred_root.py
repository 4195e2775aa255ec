"""VLMEvalKit: results go under /workspace/outputs or a caller's folder; stand-in results are marked."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            "from vlmeval.utils.result_transfer import",
            """\
from vldock.image.vlmeval_hooks.files import output_folder
from vlmeval.utils.result_transfer import""",
        ),
        Edit(
            """\
    # Work Dir & Mode
    parser.add_argument('--work-dir', type=str, default='./outputs', help=""",
            """\
    # Work Dir & Mode (imported here: this function is also run by itself, without the module around it)
    from vldock.image.vlmeval_hooks.files import output_folder
    parser.add_argument('--work-dir', type=str, default=output_folder.default_work_dir(), help=""",
        ),
        Edit(
            """\
        pred_root = osp.join(args.work_dir, model_name)
        pred_root_meta = osp.join(args.work_dir, model_name)
""",
            "        pred_root = pred_root_meta = output_folder.make_pred_root(args, model_name)\n",
        ),
        Edit(
            """\
                reuse_aux=args.reuse_aux,
                model_name=model_name,
            )

        if use_config:
""",
            """\
                reuse_aux=args.reuse_aux,
                model_name=model_name,
                standin=output_folder.is_standin(),
            )

        if use_config:
""",
        ),
        Edit(
            """\
    if RANK == 0:
        if not args.reuse:
            logger.warning('--reuse is not set, this run will start from a fresh output directory')
""",
            """\
    if RANK == 0:
        if not args.reuse:
            logger.info('Predictions of the same identity are continued, others are set aside')
""",
        ),
    ),
    "vlmeval/smp/file.py": (
        Edit(
            """\
    work_dir = osp.join(pred_root_meta, eval_id)
    os.makedirs(work_dir, exist_ok=True)
""",
            "    work_dir = osp.join(pred_root_meta, eval_id)\n",
        ),
        Edit(
            "    context['source_eval_id'] = osp.basename(source['run_dir'])\n",
            """\
    os.makedirs(work_dir, exist_ok=True)  # only where something is copied into it
    context['source_eval_id'] = osp.basename(source['run_dir'])
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_pred_root",
    package=VLMEVAL,
    reason=(
        "results land in ./outputs, an empty T<date> folder is made by each run, and the log claims a "
        "fresh folder that is not"
    ),
    upstream="ms-vlmeval 0.0.20: run_local_mode() in run.py, prepare_reuse_files() in smp/file.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
