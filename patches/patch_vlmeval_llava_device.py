"""VLMEvalKit: the LLaVA wrapper runs without a GPU, and loads directly onto one."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

TOKENS = (
    "        input_ids = (\n            tokenizer_image_token(\n"
    '                prompt, self.tokenizer, IMAGE_TOKEN_INDEX, return_tensors="pt"\n'
    "            )\n            .unsqueeze(0)\n"
)
HERE = "self.model.device, dtype=self.model.dtype"

WRAPPER = (
    Edit(
        '            logging.critical(\n                "Please install llava from https://github.com/haotian-liu/LLaVA"\n'
        "            )\n            raise err\n",
        "            raise  # the real cause is what helps, not that llava should be installed\n"
        "        from vldock.image.vlmeval_hooks.process import placement\n",
    ),
    Edit('                    device_map="cpu",\n', "                    **placement.loading_options(),\n"),
    Edit(
        '            if "ShareGPT4V" in model_path:\n                import llava\n\n'
        "                logging.critical(\n"
        '                    "Please manually remove the encoder type check in "\n'
        '                    f"{llava.__path__[0]}/model/multimodal_encoder/builder.py "\n'
        '                    "Line 8 to use the ShareGPT4V model. "\n                )\n            else:\n'
        '                logging.critical("Unknown error when loading LLaVA model.")\n            raise err\n',
        "            raise  # no hand edit is needed for ShareGPT4V, and a load error tells its own cause\n",
    ),
    Edit("        self.model = self.model.cuda()\n", "        self.model = self.model.eval()\n"),
    Edit(
        f'            "cuda", dtype=torch.float16\n        )\n\n{TOKENS}            .cuda()\n',
        f"            {HERE}\n        )\n\n{TOKENS}            .to(self.model.device)\n",
    ),
    Edit('                "cuda", dtype=torch.float16\n', f"                {HERE}\n"),
    Edit(
        f'" ASSISTANT: "\n\n{TOKENS}            .cuda()\n',
        f'" ASSISTANT: "\n\n{TOKENS}            .to(self.model.device)\n',
    ),
)

PATCH = Patch(
    name="vlmeval_llava_device",
    package=VLMEVAL,
    reason="device cuda is hard-coded, the model passes through host memory, and a load error loses its cause",
    upstream="open-compass/VLMEvalKit #505 #510 #1125: vlmeval/vlm/llava/llava.py",
    edits={
        "vlmeval/vlm/llava/llava.py": WRAPPER,
        "vlmeval/inference.py": (
            Edit(
                "                torch.cuda.synchronize()\n",
                "                if torch.cuda.is_available():\n                    torch.cuda.synchronize()\n",
            ),
        ),
    },
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
