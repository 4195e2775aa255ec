"""Fine-tune a LLaVA; the same as `python -m vldock.image train`.

cd /workspace && python train.py --config FILE [KEY=VALUE ...]
"""

import sys

from vldock.image.training.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
