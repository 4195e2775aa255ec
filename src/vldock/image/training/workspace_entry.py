"""Entry point of training in a workspace: sets its variables, then trains.

LLaVA's side is llava/train/workspace_train.py, which patches/patch_llava_workspace.py adds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence

from vldock.common import workspace
from vldock.common.cache_env import WORKSPACE
from vldock.common.errors import VldockError


def main(argv: Sequence[str] | None = None, environ: MutableMapping[str, str] = os.environ) -> int:
    """Train in the workspace and return the exit status.

    Data is in data/, checkpoints in checkpoints/, every cache in the workspace.

    The workspace is $WORKSPACE_ROOT. Without it the image's own caches are used, and data/ and checkpoints/ are
    those of /workspace. 3 is returned when the workspace cannot be written.
    """
    try:
        prepare(environ)
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    from vldock.image.training.cli import main as train

    status: int = train(list(sys.argv[1:] if argv is None else argv))
    return status


def prepare(environ: MutableMapping[str, str]) -> None:
    """Create the workspace and set its variables.

    Warns of a library that had read the old ones.
    """
    if not environ.get(workspace.ROOT_VARIABLE):
        environ[workspace.ROOT_VARIABLE] = WORKSPACE
        return
    said = workspace.activate(environ).warning()
    if said:
        print(f"warning: {said}", file=sys.stderr)
