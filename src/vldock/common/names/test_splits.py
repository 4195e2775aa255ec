"""Benchmarks of VLMEvalKit that get predictions and no score.

Imports nothing: every start of run.py pays for this module.
"""

from __future__ import annotations

# VLMEvalKit predicts these and scores none: answers are not public, or it has no evaluation. -> a split with answers.
UNSCORED: dict[str, str | None] = {
    "MMBench": "MMBench_DEV_EN",
    "MMBench_CN": "MMBench_DEV_CN",
    "MMBench_V11": "MMBench_DEV_EN_V11",
    "MMBench_CN_V11": "MMBench_DEV_CN_V11",
    "MMBench_TEST_EN": "MMBench_DEV_EN",
    "MMBench_TEST_CN": "MMBench_DEV_CN",
    "MMBench_TEST_EN_V11": "MMBench_DEV_EN_V11",
    "MMBench_TEST_CN_V11": "MMBench_DEV_CN_V11",
    "DocVQA_TEST": "DocVQA_VAL",
    "InfoVQA_TEST": "InfoVQA_VAL",
    "MMMU_TEST": "MMMU_DEV_VAL",
    "MMT-Bench_ALL": "MMT-Bench_VAL",
    "MMT-Bench_ALL_MI": "MMT-Bench_VAL_MI",
    "Q-Bench1_TEST": "Q-Bench1_VAL",
    "A-Bench_TEST": "A-Bench_VAL",
    "AesBench_TEST": "AesBench_VAL",
    "MLLMGuard_DS": None,
}
REPLACED = frozenset({"MMBench"})  # also the benchmark's own name: then the split with answers is evaluated
SUBMITTED = frozenset({"MMMU_TEST", "MMT-Bench_ALL", "MMT-Bench_ALL_MI"})  # a file for the official server is written
