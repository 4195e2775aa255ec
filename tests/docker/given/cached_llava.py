"""LLaVA-1.5-7B and its tower in the cache, as a download leaves them; the files are the stand-ins'."""

import os
import shutil
from pathlib import Path

from vldock.image.standin.manifest import ASSETS

cache = Path(os.environ["HF_HOME"])
for repo in ("models--liuhaotian--llava-v1.5-7b", "models--openai--clip-vit-large-patch14-336"):
    shutil.copytree(ASSETS / "huggingface" / repo, cache / repo, symlinks=True)
