"""VLMEvalKit: prompts are noted, LLaVA's own wording is available, evaluations leave a passport."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/inference.py": (
        Edit(
            "        # If `SKIP_ERR` flag is set, the model will skip the generation if error is encountered\n",
            """\
        from vldock.image.vlmeval_hooks.provenance import prompts
        prompts.record_question(work_dir, model_name, dataset_name, idx, struct)
        # If `SKIP_ERR` flag is set, the model will skip the generation if error is encountered
""",
        ),
    ),
    "vlmeval/vlm/llava/llava.py": (
        Edit(
            '        prompt = self.system_prompt + "USER: " + content',
            """\
        from vldock.image.vlmeval_hooks.provenance import prompts
        prompt = prompts.render_llava(self, message) or self.system_prompt + "USER: " + content""",
        ),
    ),
    "vlmeval/run.py": (
        Edit(
            "                    # Create the symbolic links for the prediction files\n",
            """\
                    from vldock.image.vlmeval_hooks.provenance import passport
                    passport.write(pred_root, model_name, dataset, args=args, judge=judge_model, factory=factory)
                    # Create the symbolic links for the prediction files
""",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_passport",
    package=VLMEVAL,
    reason="nothing records what was asked; the LLaVA wrapper's wording is not LLaVA's own; cut prompts are silent",
    upstream="open-compass/VLMEvalKit #1029: infer_data() in inference.py, vlm/llava/llava.py, run.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
