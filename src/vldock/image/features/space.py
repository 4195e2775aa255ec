"""Identity of a feature: all it depends on, hashed into its key.

One changed part is another key, so a cache cannot mix models.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

DTYPES = ("float16", "bfloat16", "float32")
LAST, ALL, MEAN = TOKENS = ("last", "all", "mean")  # with a prompt: where the answer begins, every one, their mean
NO_PROMPT = "prompt-free"


@dataclass(frozen=True)
class Space:
    """Everything that decides a feature besides picture and prompt.

    tower: sha256 over the model's files. preprocessing: the processor's settings and libraries, as JSON.
    layer: the hidden state, and its tokens. computed: dtype and library of the computation.
    dtype: as stored, one of DTYPES.
    """

    tower: str
    preprocessing: str
    layer: str
    computed: str
    dtype: str = "float16"

    @cached_property
    def digest(self) -> str:
        """sha256 over every part, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def short(self) -> str:
        """First 16 digits of the digest, for file names; headers contain all."""
        return self.digest[:16]

    def key(self, image: str, prompt: str | None = None) -> str:
        """Return the key of an image: 64 hexadecimal digits.

        `image` is its sha256.
        """
        return hashlib.sha256("\n".join((self.digest, image, prompt_hash(prompt))).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """Row of a data set: name, position, image's sha256, prompt.

    The sha256 is that of the image's bytes.
    """

    dataset: str
    vlm_idx: int
    image: str
    prompt: str | None = None


def prompt_hash(prompt: str | None) -> str:
    """Return a prompt's folder name: 16 hexadecimal digits, or "prompt-free"."""
    return NO_PROMPT if prompt is None else hashlib.sha256(prompt.encode()).hexdigest()[:16]
