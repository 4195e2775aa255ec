"""LLaVA: clear import failures, and loading as requested.

Import failures show their cause; loading respects device, dtype, attention and checkpoint type.
"""

from __future__ import annotations

import sys

import patchcli
from originals import LLAVA
from patchlib import Edit, Patch

MODEL_INIT = (
    Edit(
        "try:\n    from .language_model.llava_llama",
        "# No try/except: a failure here must show.\nfrom .language_model.llava_llama",
    ),
    Edit("    from .language_model.llava_mpt", "from .language_model.llava_mpt"),
    Edit("    from .language_model.llava_mistral", "from .language_model.llava_mistral"),
    Edit("LlavaMistralConfig\nexcept:\n    pass\n", "LlavaMistralConfig\n"),
)

BUILDER = (
    Edit(
        "from llava.model import *\n",
        "from llava.model import LlavaConfig, LlavaLlamaForCausalLM, LlavaMistralForCausalLM, LlavaMptForCausalLM\n"
        "from vldock.image.llava_hooks import loading\n",
    ),
    Edit(
        '    kwargs = {"device_map": device_map, **kwargs}\n\n    if device != "cuda":\n',
        "    model_name = loading.branch_name(model_path, model_name)\n"
        "    device, device_map = loading.choose_placement(device, device_map)\n"
        '    kwargs = {"device_map": device_map, **kwargs}\n\n    if device != "cuda":\n',
    ),
    Edit(
        "        kwargs['torch_dtype'] = torch.float16\n",
        "        kwargs['torch_dtype'] = loading.choose_dtype(kwargs.get('torch_dtype'), device)\n",
    ),
    Edit(
        "        kwargs['attn_implementation'] = 'flash_attention_2'\n",
        "        kwargs['attn_implementation'] = 'flash_attention_2'\n"
        "    elif loading.supports_sdpa(model_name):\n"
        "        kwargs.setdefault('attn_implementation', 'sdpa')\n",
    ),
    Edit(
        "            lora_cfg_pretrained = AutoConfig.from_pretrained(model_path)\n",
        "            lora_cfg_pretrained = LlavaConfig.from_pretrained(model_path)\n",
    ),
    Edit(
        "                cfg_pretrained = AutoConfig.from_pretrained(model_path)\n                model = LlavaLlama",
        "                cfg_pretrained = LlavaConfig.from_pretrained(model_path)\n                model = LlavaLlama",
    ),
    Edit("{k: v.to(torch.float16) for k, v in mm_projector", "{k: v.to(model.dtype) for k, v in mm_projector"),
    Edit(
        "            print('Convert to FP16...')\n            model.to(torch.float16)\n",
        "            model.to(kwargs.get('torch_dtype', torch.float16))\n",
    ),
    Edit(
        "            vision_tower.load_model(device_map=device_map)\n        if device_map != 'auto':\n"
        "            vision_tower.to(device=device_map, dtype=torch.float16)\n",
        "            vision_tower.load_model()\n        loading.place_vision_tower(model, vision_tower)\n",
    ),
)

MM_UTILS = (
    Edit(
        '    model_paths = model_path.split("/")\n',
        "    # a snapshot folder of a Hub cache is named by its hash: take the repository's name instead\n"
        "    from vldock.image.llava_hooks import loading\n"
        '    model_paths = loading.strip_snapshot(model_path.split("/"))\n',
    ),
)

# LLaVA main, 2024-05: the one branch that forgot the device (anyres, several devices).
ARCH = (Edit("self.model.image_newline[None]\n", "self.model.image_newline[None].to(image_feature.device)\n"),)

PATCH = Patch(
    name="llava_builder",
    package=LLAVA,
    reason="bare except hides why LlavaLlamaForCausalLM is missing; loading ignores device and dtype",
    upstream="haotian-liu/LLaVA #1101 #1291 #1840 (import), #1075 (LoRA config), #1050 (image_newline)",
    edits={
        "llava/model/__init__.py": MODEL_INIT,
        "llava/model/builder.py": BUILDER,
        "llava/mm_utils.py": MM_UTILS,
        "llava/model/llava_arch.py": ARCH,
    },
    verifier="verify_llava.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
