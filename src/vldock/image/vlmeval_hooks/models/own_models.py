"""Custom models of run.py: `--model NAME=FOLDER`, or VLDOCK_MODELS=NAME=FOLDER,NAME=FOLDER.

The folder is a LLaVA as `train export` writes it. It is evaluated as it was trained: its own template, its own image
tiling. Its passport carries the digest of its weights.
"""

from __future__ import annotations

import os

from vldock.common.errors import UsageError

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

VARIABLE = "VLDOCK_MODELS"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


def extract_folders(argv: list[str], environ: MutableMapping[str, str]) -> list[str]:
    """Return `argv` with each NAME=FOLDER after --model as NAME.

    The folders are recorded in the environment.
    Raises UsageError for a name no file can have, or a folder without config.json.
    """
    taken, after_model = [], False
    folders = declared_folders(environ)
    for word in argv:
        option, equals, value = word.partition("=")
        if word.startswith("-"):
            after_model = option == "--model"
            if after_model and equals and "=" in value:  # --model=NAME=FOLDER
                name, _, folder = value.partition("=")
                folders[name] = folder
                word = f"--model={name}"
        elif after_model and equals:
            folders[option] = value
            word = option
        taken.append(word)
    for name, folder in folders.items():
        _require(name, folder)
    if folders:
        here = os.getcwd()  # noqa: PTH109
        environ[VARIABLE] = ",".join(f"{name}={os.path.join(here, folder)}" for name, folder in folders.items())  # noqa: PTH118
    return taken


def declared_folders(environ: Mapping[str, str]) -> dict[str, str]:
    """Return {name: folder} of VLDOCK_MODELS; raise UsageError for an item without =."""
    found = {}
    for word in filter(None, (part.strip() for part in environ.get(VARIABLE, "").split(","))):
        name, equals, folder = word.partition("=")
        if not equals:
            raise UsageError(f"{VARIABLE}: {word}", expected="NAME=FOLDER, with commas between several")
        found[name] = folder
    return found


def register(environ: Mapping[str, str]) -> list[str]:
    """Add the declared models to VLMEvalKit's and return their names.

    Raises UsageError for a name VLMEvalKit already has.
    """
    folders = declared_folders(environ)
    if not folders:
        return []
    import functools

    from vlmeval.config import supported_VLM

    from vldock.image.vlmeval_hooks.models.own_llava import OwnLLaVA

    for name, folder in folders.items():
        known = supported_VLM.get(name)
        if known is not None and getattr(known, "func", None) is not OwnLLaVA:
            raise UsageError(f"--model {name}={folder}: VLMEvalKit has a model {name} already", expected="another name")
        supported_VLM[name] = functools.partial(OwnLLaVA, model_path=folder)
    return list(folders)


def _require(name: str, folder: str) -> None:
    import re  # not above: most runs have no such model, and run.py must start fast

    if not re.fullmatch(NAME, name):
        raise UsageError(f"--model {name}={folder}: {name!r} names files", expected="letters, digits, . _ -")
    if not os.path.isfile(os.path.join(folder, "config.json")):  # noqa: PTH113, PTH118
        raise UsageError(
            f"--model {name}={folder}: no config.json in that folder",
            expected="a LLaVA as `python -m vldock.image train export` writes it",
            hint="is the folder mounted into the container?",
        )
