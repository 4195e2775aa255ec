"""The one cache root: every variable naming a tool's folder, declared once.

The Dockerfile's ENV block is rendered from `CACHE_ENV` between two "generated" marks (`make generate`), and
`make check` fails on a difference. Python code imports it from here.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Mapping

WORKSPACE = "/workspace"
CACHE_ROOT = f"{WORKSPACE}/.cache"
HUGGINGFACE = f"{CACHE_ROOT}/huggingface"
OUTPUTS = f"{WORKSPACE}/outputs"
LMUDATA = f"{WORKSPACE}/LMUData"
FEATURES_VARIABLE = "VLDOCK_FEATURES"

CACHE_ENV: Mapping[str, str] = {
    "HOME": f"{CACHE_ROOT}/home",
    "XDG_CACHE_HOME": CACHE_ROOT,
    "XDG_CONFIG_HOME": f"{CACHE_ROOT}/xdg/config",
    "XDG_DATA_HOME": f"{CACHE_ROOT}/xdg/data",
    "XDG_STATE_HOME": f"{CACHE_ROOT}/xdg/state",
    "HF_HOME": HUGGINGFACE,
    "HUGGINGFACE_HUB_CACHE": HUGGINGFACE,
    "TRANSFORMERS_CACHE": HUGGINGFACE,
    "HF_DATASETS_CACHE": f"{HUGGINGFACE}/datasets",
    "HF_MODULES_CACHE": f"{HUGGINGFACE}/modules",
    "TORCH_HOME": f"{CACHE_ROOT}/torch",
    "TORCH_EXTENSIONS_DIR": f"{CACHE_ROOT}/torch/extensions",
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_ROOT}/torch/inductor",
    "TRITON_CACHE_DIR": f"{CACHE_ROOT}/triton",
    "CUDA_CACHE_PATH": f"{CACHE_ROOT}/cuda",
    "MPLCONFIGDIR": f"{CACHE_ROOT}/matplotlib",
    "NUMBA_CACHE_DIR": f"{CACHE_ROOT}/numba",
    "NLTK_DATA": f"{CACHE_ROOT}/nltk",
    "IPYTHONDIR": f"{CACHE_ROOT}/ipython",
    "PIP_CACHE_DIR": f"{CACHE_ROOT}/pip",
    FEATURES_VARIABLE: f"{CACHE_ROOT}/features",
}


def variables_below(root: str) -> dict[str, str]:
    """Return `CACHE_ENV` with the cache root replaced by `root`.

    For a container whose own cache root cannot be written.
    """
    return {name: root + value.removeprefix(CACHE_ROOT) for name, value in CACHE_ENV.items()}


def render_dockerfile_env() -> str:
    """Return the lines of the Dockerfile's ENV block (without the marks)."""
    pairs = [f"{name}={value}" for name, value in CACHE_ENV.items()]
    return "ENV " + " \\\n    ".join(pairs)
