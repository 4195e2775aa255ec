"""VLMEvalKit: API keys are not written to logs and status.json."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

SAY_WHETHER = (Edit("API Key: {self.key}')", 'API Key: {"set" if self.key else "not set"}\')'),)

EDITS = {
    "vlmeval/run.py": (
        Edit("logger.info(judge_kwargs)\n", "logger.info(redact.options(judge_kwargs))\n"),
        Edit("logger.info(f'Judge kwargs: {judge_kwargs}')", "logger.info(f'Judge: {redact.options(judge_kwargs)}')"),
        Edit(
            "argv=sys.argv,\n                api_mode=False",
            "argv=redact.argv(sys.argv),\n                api_mode=False",
        ),
        Edit("argv=sys.argv,\n        api_mode=True", "argv=redact.argv(sys.argv),\n        api_mode=True"),
        Edit(
            "from vlmeval.inference_video import infer_data_job_video\n",
            "from vlmeval.inference_video import infer_data_job_video\n"
            "from vldock.image.vlmeval_hooks.process import redact\n",
        ),
    ),
    "vlmeval/api/doubao_vl_api.py": SAY_WHETHER,
    "vlmeval/api/gpt.py": SAY_WHETHER,
    "vlmeval/api/kimivl_api.py": SAY_WHETHER,
    "vlmeval/api/sensechat_vision.py": SAY_WHETHER,
    "vlmeval/api/taiyi.py": SAY_WHETHER,
}

PATCH = Patch(
    name="vlmeval_secrets",
    package=VLMEVAL,
    reason="an API key is logged in full, and one given as an option is kept in status.json",
    upstream="open-compass/VLMEvalKit: run.py, api/gpt.py and four more",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
