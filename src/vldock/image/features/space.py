"""What a feature depends on, and the key made of it: one changed part is another key, so a cache cannot mix models."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property

DTYPES = ("float16", "bfloat16", "float32")
LAST, ALL = TOKENS = ("last", "all")  # with a prompt: the position the answer begins from, or every one
NO_PROMPT = "prompt-free"


@dataclass(frozen=True)
class Space:
    """All that decides a feature besides the picture and the prompt.

    tower: sha256 over the model's files. preprocessing: the processor's settings and libraries, as JSON.
    layer: which hidden state, and which tokens of it. computed: dtype and library it was computed with.
    dtype: as stored, one of DTYPES.
    """

    tower: str
    preprocessing: str
    layer: str
    computed: str
    dtype: str = "float16"

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits over every part."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def short(self) -> str:
        """The part of the digest that stands in file names; headers carry the whole."""
        return self.digest[:16]

    def key(self, image: str, prompt: str | None = None) -> str:
        """Return the key, 64 hexadecimal digits, of the picture whose bytes have the sha256 `image`."""
        return hashlib.sha256("\n".join((self.digest, image, prompt_hash(prompt))).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One row of a data set: its name and place there, the sha256 of the picture's bytes, the prompt if it matters."""

    dataset: str
    vlm_idx: int
    image: str
    prompt: str | None = None


def prompt_hash(prompt: str | None) -> str:
    """Return the folder's name of a prompt: 16 hexadecimal digits, or "prompt-free"."""
    return NO_PROMPT if prompt is None else hashlib.sha256(prompt.encode()).hexdigest()[:16]
