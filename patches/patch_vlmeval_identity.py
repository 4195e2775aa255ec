"""VLMEvalKit: results of another limit, code, model, data or judge are never reused."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            """\
                judge_model = judge_kwargs.get('model', '')

                if RANK == 0:
                    reuse_ctx""",
            """\
                judge_model = judge_kwargs.get('model', '')

                if RANK == 0:
                    from vldock.image.vlmeval_hooks.provenance import run_identity
                    factory = cfg['model'][model_name] if use_config else supported_VLM.get(model_name, LMDeployAPI)
                    run_identity.settle_files(
                        pred_root, model_name, dataset, args=args, judge=judge_model, factory=factory)
                    reuse_ctx""",
        ),
        Edit(
            "                    # Perform the Evaluation\n",
            """\
                    # Perform the Evaluation, on nothing an earlier one left
                    run_identity.begin_evaluation(pred_root, model_name, dataset_name, judge_model)
""",
        ),
    ),
    "vlmeval/dataset/image_base.py": (
        Edit(
            "('_checkpoint.pkl', '_PREV.pkl', '_structs.pkl')",
            "('_checkpoint.pkl', '_PREV.pkl', '_structs.pkl', '_identity.json', '_prompts.jsonl', '_passport.json')",
        ),
    ),
    "vlmeval/smp/status_report.py": (
        # the lock is a file that outlives a killed container, and the next run would wait for it for ever
        Edit(
            "from filelock import SoftFileLock\n",
            "from filelock import FileLock as SoftFileLock  # released by the kernel\n",
        ),
        Edit(
            """\
        reporter = _resolve_dataset_reporter(dataset_name, dataset_obj=dataset_obj)

""",
            """\
        reporter = _resolve_dataset_reporter(dataset_name, dataset_obj=dataset_obj)
        if status == 'pending':
            dataset_status.clear()  # a run begins: no metric of an earlier one stays

""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_identity",
    package=VLMEVAL,
    reason="cached predictions and scores of an earlier run are reused whatever they were made with",
    upstream=(
        "ms-vlmeval 0.0.20: scored 12 rows on 4 cached ones; vlmeval/run.py, dataset/image_base.py, "
        "smp/status_report.py"
    ),
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
