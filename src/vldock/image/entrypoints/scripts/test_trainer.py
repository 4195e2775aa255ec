"""Run the preflight of a fine-tuning; nothing is trained.

Data, tokens, shapes, labels, loss, gradients, memory, disk.

cd /workspace && python test_trainer.py [--config FILE] [KEY=VALUE ...]
"""

import sys

from vldock.image.training.cli import main

if __name__ == "__main__":
    sys.exit(main(["--check", *sys.argv[1:]]))
