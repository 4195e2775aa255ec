"""Names of models and benchmarks as people type them, and those nearest to an unknown one.

Imports nothing slow: every start of run.py pays for this module.
"""

from __future__ import annotations

import sys

from vldock.common.names.test_splits import REPLACED, UNSCORED

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# VLMEvalKit's name -> other spellings. Case, blanks, and - _ . do not matter (`fold`).
MODELS: dict[str, tuple[str, ...]] = {
    "llava_v1.5_7b": ("LLaVA-1.5-7B", "LLaVA-7B", "liuhaotian/llava-v1.5-7b", "7b"),
    "llava_v1.5_13b": ("LLaVA-1.5-13B", "LLaVA-13B", "liuhaotian/llava-v1.5-13b", "13b"),
    "sharegpt4v_7b": ("ShareGPT4V", "Lin-Chen/ShareGPT4V-7B"),
    "InternVL2-2B": ("OpenGVLab/InternVL2-2B",),
    "InternVL2-8B": ("OpenGVLab/InternVL2-8B",),
    "MiniCPM-V-2_6": ("openbmb/MiniCPM-V-2_6",),
    "cogvlm-chat": ("CogVLM", "CogVLM-7B", "CogVLM-17B", "cogvlm-chat-hf", "THUDM/cogvlm-chat-hf"),
}
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "MMBench_DEV_EN": ("MMBench", "MMBench_DEV", "MMBench_EN"),
    "TextVQA_VAL": ("TextVQA",),
    "GQA_TestDev_Balanced": ("GQA", "GQA_TestDev"),
    "MMMU_DEV_VAL": ("MMMU", "MMMU_VAL"),
    "DocVQA_VAL": ("DocVQA",),
    "ChartQA_TEST": ("ChartQA",),
    "InfoVQA_VAL": ("InfoVQA", "InfographicVQA", "InfographicVQA_VAL"),
    "OCRBench": (),
    "AI2D_TEST": ("AI2D",),
    "ScienceQA_VAL": ("ScienceQA", "SQA"),
    "POPE": (),
    "HallusionBench": ("HallucinationBench",),
    "MMStar": (),
    "RealWorldQA": (),
    "VisOnlyQA-VLMEvalKit": ("VisOnlyQA",),
    "VizWiz": ("VizWiz_VAL",),
    "SEEDBench_IMG": ("SEEDBench", "SEED", "SEED_IMG"),
    "BLINK": ("BLINK_VAL",),
    "MMBench_DEV_KO": ("MMBench_KO", "MMBench_Korean", "K-MMBench", "NCSOFT/K-MMBench"),
    "SEEDBench_IMG_KO": ("SEEDBench_KO", "SEEDBench_Korean", "K-SEED", "K-SEEDBench", "NCSOFT/K-SEED"),
    "MME": (),
    "NaturalBenchDataset": ("NaturalBench",),
    "MMStar_KO": ("MMStar_Korean", "K-MMStar", "NCSOFT/K-MMStar"),
    "CCOCR_MultiLanOcr_Korean": ("CCOCR_Korean", "CCOCR_KO", "CCOCR_MultiLanOcr_KO"),
}
# VLMEvalKit's own names that differ from one above in nothing but case: other tables.
OTHERS = frozenset({"MMBench_dev_en"})
MOST, NEAR, CLOSE = 3, 0.85, 0.6  # suggestions, and the likeness of two names
_DROPPED = {ord(sign): None for sign in "-_. "}


def fold(name: str) -> str:
    """Return the name without case, blanks, hyphens, underscores and dots."""
    return name.casefold().translate(_DROPPED)


def _folded(table: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {fold(spelling): name for name, others in table.items() for spelling in (name, *others)}


_MODELS, _BENCHMARKS = _folded(MODELS), _folded(BENCHMARKS)


def resolve_model(name: str) -> str:
    """Return VLMEvalKit's name of a declared model; any other name as it is."""
    return _MODELS.get(fold(name), name)


def resolve_benchmark(name: str) -> str:
    """Return VLMEvalKit's name of a declared benchmark; any other name as it is."""
    own = name in OTHERS or (name in UNSCORED and name not in REPLACED)
    return name if own else _BENCHMARKS.get(fold(name), name)


def resolve_all(typed: Iterable[str], resolve: Callable[[str], str]) -> list[str]:
    """Return VLMEvalKit's names, each once; print which were taken for other spellings."""
    typed = list(typed)
    taken = [resolve(name) for name in typed]
    print_replaced(typed, taken)
    return list(dict.fromkeys(taken))


def print_replaced(typed: Iterable[str], taken: Iterable[str], *more: str) -> None:
    """Print in one line which names were taken for other typed ones, then `more`, to standard error."""
    pairs = [pair for pair in zip(typed, taken) if pair[0] != pair[1]]  # noqa: B905  as many on both sides
    if line := "; ".join(dict.fromkeys([*(_clause(*pair) for pair in pairs), *more])):
        print(line, file=sys.stderr, flush=True)


def _clause(name: str, taken: str) -> str:
    if name in UNSCORED:
        return f"{name} is a test split without public answers, {taken} is evaluated"
    return f"{name} is {taken}"


def suggest(name: str, known: Iterable[str], *, declared: Iterable[str] = ()) -> list[str]:
    """Return up to three known names like `name`.

    First those of `declared` that begin with it or have a spelling that differs in little, then others of `known`.
    """
    from difflib import get_close_matches  # most runs need none

    def similar(candidates: dict[str, str], cutoff: float) -> list[str]:
        return [candidates[found] for found in get_close_matches(name.casefold(), candidates, n=MOST, cutoff=cutoff)]

    first, folded = list(declared), fold(name)
    begins = [one for one in first if len(folded) > 1 and fold(one).startswith(folded)]
    spellings = {
        spelling.casefold(): one for one in first for spelling in (one, *MODELS.get(one, ()), *BENCHMARKS.get(one, ()))
    }
    close = similar({one.casefold(): one for one in known}, CLOSE)
    return list(dict.fromkeys([*begins, *similar(spellings, NEAR), *close]))[:MOST]
