"""Evaluate models on many benchmarks; the same as `python -m vldock.image evaluate`.

python /workspace/scripts/evaluate_model.py --model llava_v1.5_7b --data MMBench_DEV_EN TextVQA_VAL
"""

import sys

from vldock.image.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
