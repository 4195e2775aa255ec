"""VLMEvalKit: .env from two folders, or none.

It is read from /workspace/VLMEvalKit and /workspace; a missing one is no error.
"""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/__init__.py": (
        Edit(
            """\
    pth = Path(__file__).parent.parent / '.env'
    if not pth.exists():
        logging.error(f'Did not detect the .env file at {pth}, failed to load.')
        return

    from dotenv import dotenv_values
    values = dotenv_values(str(pth))
    for k, v in values.items():
        if v is not None and len(v):
            os.environ[k] = v
    logging.info(f'API Keys successfully loaded from {pth}')
""",
            """\
    from vldock.image.vlmeval_hooks.process import env_file
    env_file.load(env_file.find_files(Path(__file__).parent))
""",
        ),
        Edit(
            """\
    import logging
    import os
    from pathlib import Path
""",
            """\
    import logging
    from pathlib import Path
""",
        ),
    ),
    "vlmeval/smp/misc.py": (
        Edit(
            """\
    pth = osp.realpath(vlmeval.__path__[0])
    pth = osp.join(pth, '../.env')
    pth = osp.realpath(pth)
    if not osp.exists(pth):
        logging.info(f'Did not detect the .env file at {pth}, don\\'t load. ')
        return

    from dotenv import dotenv_values
    values = dotenv_values(pth)
    for k, v in values.items():
        if v is not None and len(v):
            os.environ[k] = v
    logging.info(f'API Keys successfully loaded from {pth}')
""",
            "    vlmeval.load_env()\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_dotenv",
    package=VLMEVAL,
    reason=(
        "a mounted /workspace/.env is not read, a missing .env is logged as an error, and the file "
        "overrides docker run -e"
    ),
    upstream="open-compass/VLMEvalKit: load_env() in vlmeval/__init__.py and vlmeval/smp/misc.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
