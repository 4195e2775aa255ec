"""Two data sets of episodes in /tmp/data, two cameras and five action numbers, and another code's .pt cache of them."""

import hashlib
import json
from pathlib import Path

import torch
from PIL import Image

INSTRUCTIONS = ("pick up the cup", "open the drawer")
FOREIGN = Path("/tmp/qwen_vl_features")

listed = []
for day in ("day_1", "day_2"):
    folder = Path("/tmp/data") / day
    folder.mkdir(parents=True)
    rows = []
    for index in range(12):
        prompt = INSTRUCTIONS[index // 3 % 2]
        names = [f"{index}-{camera}.png" for camera in ("left", "right")]
        for camera, name in enumerate(names):
            shade = (20 * index, 100 * camera, 80 * (day == "day_2"))
            Image.new("RGB", (64, 36), shade).save(folder / name)
            place = FOREIGN / hashlib.md5(prompt.encode()).hexdigest()[:8]
            place.mkdir(parents=True, exist_ok=True)
            feature = torch.full((1, 32), index + camera / 2, dtype=torch.float16)
            torch.save(feature, place / f"{day}_vlm{2 * index + camera}.pt")
        action = [index / 12, 0.5, -index / 12, 0.0, 1.0]
        rows.append({"episode": index // 3, "images": names, "instruction": prompt, "action": action})
        views = [f"{day}/{name}" for name in names]
        listed.append({"image": views, "prompt": prompt, "dataset": day, "vlm_idx": [2 * index, 2 * index + 1]})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
Path("/tmp/data/rows.json").write_text(json.dumps(listed))
