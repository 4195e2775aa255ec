"""Variables that follow HF_HOME and HF_HUB_CACHE where the user sets those alone.

The image sets HUGGINGFACE_HUB_CACHE, TRANSFORMERS_CACHE, HF_DATASETS_CACHE and HF_MODULES_CACHE, so that HF_HOME alone
would move none of them, as it does where they are not set. A variable that still names a place below the image's (or
the workspace's) own HF_HOME follows; any other value is the user's and stays.

Imported as each Python of the image starts in which one of them was set (vldock.pth), so it imports nothing slow.
"""

from __future__ import annotations

from vldock.common.cache_env import HUGGINGFACE

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

HUB_VARIABLES = ("HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE")
SETTLED = "VLDOCK_HF_HOME"  # the HF_HOME the other variables were last settled for, where it is not the image's
BESIDE_HUB = ("HF_DATASETS_CACHE", "HF_MODULES_CACHE")
NAMES = ("HF_HOME", "HF_HUB_CACHE", *HUB_VARIABLES, *BESIDE_HUB)


def spellings(name: str, home: str) -> tuple[str, ...]:
    """Return the places a variable may name below `home` in one of the documented layouts; the library's own first."""
    if name == "HUGGINGFACE_HUB_CACHE":
        return f"{home}/hub", home
    if name == "TRANSFORMERS_CACHE":
        return f"{home}/hub", home, f"{home}/transformers"
    if name == "HF_DATASETS_CACHE":
        return f"{home}/datasets", f"{home.rpartition('/')[0]}/datasets"
    return (f"{home}/modules",)


def follow_home(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to change, so that HF_HOME and HF_HUB_CACHE hold for all that the user did not set."""
    home, settled = (environ.get(name, "").rstrip("/") or HUGGINGFACE for name in ("HF_HOME", SETTLED))
    workspace = environ.get("WORKSPACE_ROOT")
    ours = {HUGGINGFACE, settled, *([f"{workspace}/cache/huggingface"] if workspace else [])}
    left = ours - {home} if home != settled else set()

    def is_below(name: str, homes: set[str]) -> bool:
        return not environ.get(name) or any(environ[name] in spellings(name, one) for one in homes)

    values = {name: spellings(name, home)[0] for name in BESIDE_HUB if left and is_below(name, left)}
    hub = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or home
    if left and not environ.get("HF_HUB_CACHE") and is_below("HUGGINGFACE_HUB_CACHE", left):
        hub = f"{home}/hub"
    for name in HUB_VARIABLES:
        one_place = hub in spellings("HUGGINGFACE_HUB_CACHE", home) and environ.get(name) in spellings(name, home)
        if is_below(name, ours | {home}) and not one_place:
            values[name] = hub
    return {name: value for name, value in values.items() if environ.get(name) != value}


def apply(environ: MutableMapping[str, str]) -> None:
    """Change `environ` accordingly; where stand-ins are in use it stays as it is."""
    if not environ.get("VLDOCK_STANDIN"):
        environ.update(follow_home(environ))
