"""VLMEvalKit: VLMEVAL_SAMPLE_LIMIT is the default of --limit; --mode eval respects the limit."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            """\
        args.api_nproc = args.nproc
    return args
""",
            """\
        args.api_nproc = args.nproc
    from vldock.image.vlmeval_hooks.run import sample_limit
    args.limit = sample_limit.resolve(args.limit)
    return args
""",
        ),
        Edit(
            "                judge_kwargs = get_judge_kwargs(dataset_name, dataset.TYPE, args)\n",
            """\
                from vldock.image.vlmeval_hooks.run import sample_limit
                sample_limit.cut(dataset, args.limit)
                judge_kwargs = get_judge_kwargs(dataset_name, dataset.TYPE, args)
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_sample_limit",
    package=VLMEVAL,
    reason=(
        "there is no variable for the number of samples, and --limit with --mode eval ends in 'Incomplete infer result'"
    ),
    upstream="open-compass/VLMEvalKit #820 #840 #1634",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
