"""VLMEvalKit: the wrappers of InternVL, MiniCPM-V 2.6 and CogVLM run without a GPU, and load directly onto one."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

HOOK = "from vldock.image.vlmeval_hooks.process import placement\n"
LOADING = "**placement.pretrained_options()"
PLACED = ".to(self.device).to(torch.bfloat16)"
PLACED_NOW = ".to(self.device).to(self.dtype)"
PIXELS = (  # of generate_v1_2, generate_v1_5 (several images, one), generate_v2 (likewise), chat_inner_v2 (likewise)
    "pixel_values_list.append(load_image(file_name, max_num=max_num)",
    "pixel_values = load_image(image_path, max_num=max_num)",
    "file_name, max_num=max_num, upscale=upscale_flag)",
    "image_path, max_num=max_num, upscale=upscale_flag)",
    "file_name, max_num=self.max_num, upscale=upscale_flag)",
    "image_path, max_num=self.max_num, upscale=upscale_flag)",
)

INTERNVL = (
    Edit(
        "            torch.cuda.set_device(0)\n            self.device = 'cuda'\n",
        "            torch.cuda.set_device(0)\n            self.device, self.dtype = 'cuda', torch.bfloat16\n",
    ),
    Edit(
        """\
            self.model = AutoModel.from_pretrained(
                model_path,
                torch_dtype=torch.bfloat16,
                trust_remote_code=True,
                low_cpu_mem_usage=True,
                device_map="auto").eval()
            self.device = 'cuda'
""",
        f"""\
            {HOOK}\
            self.model = AutoModel.from_pretrained(
                model_path, trust_remote_code=True, {LOADING}).eval()
            self.device, self.dtype = str(self.model.device), self.model.dtype
""",
    ),
    Edit(
        """\
            self.reward_model = AutoModel.from_pretrained(
                reward_model_path,
                torch_dtype=torch.bfloat16,
                trust_remote_code=True,
                low_cpu_mem_usage=True,
                device_map="auto").eval()
""",
        f"""\
            {HOOK}\
            self.reward_model = AutoModel.from_pretrained(
                reward_model_path, trust_remote_code=True, {LOADING}).eval()
""",
    ),
    Edit("pixel_values.to(torch.bfloat16).to(self.device)", "pixel_values.to(self.device, dtype=self.dtype)"),
    *(Edit(f"{call}{PLACED}", f"{call}{PLACED_NOW}") for call in PIXELS),
)

MINICPM = (
    Edit(
        """\
            self.model = AutoModel.from_pretrained(self.model_path, trust_remote_code=True)
            self.model = self.model.to(dtype=torch.bfloat16)
            self.model.eval().cuda()
""",
        f"""\
            {HOOK}\
            self.model = AutoModel.from_pretrained(
                self.model_path, trust_remote_code=True, {LOADING})
            self.model.to(dtype=self.model.dtype).eval()  # buffers too, as upstream
""",
    ),
)

COGVLM = (
    Edit(
        """\
        model = AutoModelForCausalLM.from_pretrained(
            model_path,
            torch_dtype=torch.bfloat16,
            trust_remote_code=True,
        ).to('cuda').eval()
""",
        f"""\
        {HOOK}\
        from vldock.image.vlmeval_hooks.process import cpu_attention
        cpu_attention.install()
        model = AutoModelForCausalLM.from_pretrained(
            model_path, trust_remote_code=True, {LOADING}).eval()
""",
    ),
    Edit(
        """\
            'input_ids': inputs['input_ids'].unsqueeze(0).to('cuda'),
            'token_type_ids': inputs['token_type_ids'].unsqueeze(0).to('cuda'),
            'attention_mask': inputs['attention_mask'].unsqueeze(0).to('cuda'),
            'images': [[inputs['images'][0].to('cuda').to(torch.bfloat16)]],
""",
        """\
            'input_ids': inputs['input_ids'].unsqueeze(0).to(self.model.device),
            'token_type_ids': inputs['token_type_ids'].unsqueeze(0).to(self.model.device),
            'attention_mask': inputs['attention_mask'].unsqueeze(0).to(self.model.device),
            'images': [[inputs['images'][0].to(self.model.device).to(self.model.dtype)]],
""",
    ),
)

PATCH = Patch(
    name="vlmeval_remote_code_device",
    package=VLMEVAL,
    reason=(
        "device cuda and bfloat16 are hard-coded, InternVL is spread over every visible GPU, MiniCPM-V 2.6 passes "
        "through host memory in float32"
    ),
    upstream="ms-vlmeval 0.0.20: InternVLChat, MiniCPM_V_2_6, CogVlm in vlmeval/vlm",
    edits={
        "vlmeval/vlm/internvl/internvl_chat.py": INTERNVL,
        "vlmeval/vlm/minicpm_v.py": MINICPM,
        "vlmeval/vlm/cogvlm.py": COGVLM,
    },
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
