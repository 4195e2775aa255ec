"""Answer a question about images; the same as `python -m vldock.image predict`.

python /workspace/scripts/predict.py --image PICTURE "What is in the picture?"
"""

import sys

from vldock.image.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
