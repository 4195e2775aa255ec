"""A user's 24 steps: six episodes, two cameras, five action numbers, in JSONL; and the same with two faults."""

import json
import shutil
from pathlib import Path

from PIL import Image

mine = Path("/tmp/kitchen")
(mine / "images").mkdir(parents=True)
lines = []
for episode in range(6):
    for step in range(4):
        files = {camera: f"images/{episode}-{step}-{camera}.png" for camera in ("top", "wrist")}
        for place, name in enumerate(files.values()):
            Image.new("RGB", (64, 48), (40 * episode, 60 * step, 100 * place)).save(mine / name)
        said = "move the red cup to the left" if episode % 2 else "빨간 컵을 왼쪽으로 옮기세요"
        action = [episode / 5, step / 4, 0.5, -episode / 5, 1.0]
        lines.append({"episode": episode, "images": files, "instruction": said, "action": action, "state": [step / 4]})
(mine / "rows.jsonl").write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
shutil.copytree(mine, "/tmp/faulty")
lines[3]["action"] = [0.5]
lines[9]["images"] = {"top": "images/gone.png", "wrist": "images/0-0-wrist.png"}
Path("/tmp/faulty/rows.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
