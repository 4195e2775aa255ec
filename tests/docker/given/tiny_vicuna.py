"""A Vicuna of a few kilobytes in weights/, and LLaVA's data: conversations with images, and text-only ones."""

import json
import shutil
from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM

from vldock.image.training.demo import flowers

ROOT = Path("/workspace")
VICUNA = ROOT / "weights/lmsys/vicuna-7b-v1.5"
SAMPLING = {"bos_token_id": 1, "pad_token_id": 0, "temperature": 0.9, "top_p": 0.6}  # as Vicuna's: no do_sample

flowers.write_base(Path("/tmp/llava"), Path("/tmp/tower"), width=32, layers=2)
values = json.loads(Path("/tmp/llava/config.json").read_text())
kept = {name: value for name, value in values.items() if name in LlamaConfig().to_dict()}
LlamaForCausalLM(LlamaConfig(**{**kept, "model_type": "llama", "architectures": None})).save_pretrained(VICUNA)
for path in Path("/tmp/llava").glob("*token*"):
    shutil.copy(path, VICUNA)
ends = {"eos_token_id": list(range(kept["vocab_size"]))}  # a random model would otherwise go on for 2048 tokens
(VICUNA / "generation_config.json").write_text(json.dumps(SAMPLING | ends))

images = ROOT / "data/images"
images.mkdir(parents=True)
kinds, rows = list(flowers.KINDS), []
for at in range(8):
    flowers.draw(kinds[at % len(kinds)], at).save(images / f"{at}.jpg")
    asked = {"from": "human", "value": "<image>\nWhat is it?"}
    rows.append({"id": str(at), "image": f"{at}.jpg", "conversations": [asked, {"from": "gpt", "value": "A rose."}]})
(ROOT / "data/captions.json").write_text(json.dumps(rows))
talk = [{"from": "human", "value": "Name a flower."}, {"from": "gpt", "value": "A tulip."}]
rows += [{"id": f"text-{at}", "conversations": talk} for at in range(2)]
(ROOT / "data/llava_instruct.json").write_text(json.dumps(rows))
missing = {**rows[0], "id": "lost", "image": "lost.jpg"}
(ROOT / "data/missing.json").write_text(json.dumps([*rows, missing]))
