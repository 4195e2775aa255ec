"""VLMEvalKit: the judge in file names is the judge that ran."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            """\
        judge_kwargs['use_vllm'] = True

    return judge_kwargs
""",
            """\
        judge_kwargs['use_vllm'] = True

    from vldock.image.vlmeval_hooks.run import judge
    if args.mode == 'infer':
        return judge_kwargs
    return judge.choose(judge_kwargs, requested=args.judge, benchmark=dataset_name, kind=dataset_type)
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_judge",
    package=VLMEVAL,
    reason=(
        "without a key each benchmark waits for a judge that cannot answer, falls back, and names its files after it"
    ),
    upstream="open-compass/VLMEvalKit: get_judge_kwargs() in run.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
