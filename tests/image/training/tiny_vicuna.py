"""A tiny Vicuna, a tiny LLaVA-1.5 and CLIP's tower under their published names, with data in LLaVA's form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from training_fixture import Box

TOWER = "openai/clip-vit-large-patch14-336"


def write_workspace(root: Path, box: Box) -> Path:
    """Write a workspace: weights/ by name, data/, and the places that LLaVA's scripts name."""
    tower = root / "weights" / TOWER
    shutil.copytree(box.root / "tower", tower)
    box.altered(root / "weights/liuhaotian/llava-v1.5-13b", base="plain", mm_vision_tower=str(tower))
    for name in ("vicuna-7b-v1.5", "vicuna-13b-v1.5"):
        write_vicuna(box.root / "plain", root / "weights/lmsys" / name)
    write_data(root / "data/llava_instruct.json", root / "data/images", box)
    write_data(root / "playground/data/llava_v1_5_mix665k.json", root / "playground/data", box)
    captions = root / "playground/data/LLaVA-Pretrain"
    write_data(captions / "blip_laion_cc_sbu_558k.json", captions / "images", box, captions=True)
    return root


def write_vicuna(llava: Path, folder: Path) -> None:
    """Write a language model as lmsys/vicuna-7b-v1.5 is one: sampling settings that its config contradicts."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    kept = {k: v for k, v in json.loads((llava / "config.json").read_text()).items() if k in LlamaConfig().to_dict()}
    model = LlamaForCausalLM(LlamaConfig(**{**kept, "model_type": "llama", "architectures": None}))
    model.save_pretrained(folder)
    for path in llava.glob("*token*"):
        shutil.copy(path, folder)
    every = list(range(kept["vocab_size"]))  # ends an answer: a random model would otherwise go on for 2048 tokens
    sampling = GenerationConfig(bos_token_id=1, eos_token_id=every, pad_token_id=0).to_dict()
    sampling |= {"temperature": 0.9, "top_p": 0.6, "max_length": 4096}
    (folder / "generation_config.json").write_text(json.dumps(sampling))


def write_data(path: Path, images: Path, box: Box, *, captions: bool = False) -> None:
    """Write LLaVA's JSON apart from its images; conversations have rows that are text only, as mix665k has."""
    images.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for at, picture in enumerate(sorted((box.root / "flowers/jpg").iterdir())[:6]):
        shutil.copy(picture, images / picture.name)
        said = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": f"A rose of kind {at}."}]
        rows.append({"id": str(at), "image": picture.name, "conversations": said})
    if not captions:
        talk = [{"from": "human", "value": "Name a flower."}, {"from": "gpt", "value": "A tulip."}]
        rows += [{"id": f"text-{at}", "conversations": talk} for at in range(2)]
    path.write_text(json.dumps(rows))
