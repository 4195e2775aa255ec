"""Names of data sets on the Hub, and the repository each one means."""

from __future__ import annotations

OXFORD_FLOWERS = "nelorth/oxford-flowers"
# Keys as `resolve_dataset` compares them: case folded, "-" for "_".
HUB_ALIASES = {
    "oxford-flowers102": OXFORD_FLOWERS,
    "oxford-flowers-102": OXFORD_FLOWERS,
    "oxford-flowers": OXFORD_FLOWERS,
    "oxford-102-flowers": OXFORD_FLOWERS,
    "flowers102": OXFORD_FLOWERS,
    "nelorth/oxford-flowers": OXFORD_FLOWERS,
}


def resolve_dataset(name: str) -> str:
    """Return the repository a data set's name means; an unknown name is itself."""
    return HUB_ALIASES.get(name.strip().casefold().replace("_", "-"), name)
