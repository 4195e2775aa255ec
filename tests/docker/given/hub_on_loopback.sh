#!/bin/bash
# A Hub on loopback with a LLaVA-NeXT, its tower and a data set, a few kilobytes each; ./hub says where. It ends by itself.
set -euo pipefail
nohup timeout 300 env PYTHONPATH=tests:src .venv/bin/python - > hub 2> /dev/null < <(cat << 'END'
import threading
from support.fake_hub import running
from support.tiny_weights import CLIP, model, tower

config = b'{"model_type": "llava", "mm_vision_tower": "%s"}' % CLIP.encode()
with running() as hub:
    hub.branches["deae57a8c0ccb0da4c2661cc1891cc9d06503d11"] = "deae57a8c0ccb0da4c2661cc1891cc9d06503d11"
    hub.branches["ce19dc912ca5cd21c8a653c79e251e808ccabcd1"] = "ce19dc912ca5cd21c8a653c79e251e808ccabcd1"
    hub.repos = {"liuhaotian/llava-v1.6-vicuna-7b": {**model(), "config.json": config}, CLIP: tower()}
    hub.repos["someone/my-llava"] = hub.repos["liuhaotian/llava-v1.6-vicuna-7b"]
    hub.repos["datasets/nelorth/oxford-flowers"] = {"data/train-00000-of-00001.parquet": b"PAR1" * 9}
    print(hub.url, flush=True)
    threading.Event().wait()
END
) &
until [ -s hub ]; do sleep 0.1; done
