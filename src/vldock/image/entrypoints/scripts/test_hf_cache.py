"""Show, step by step, that training can read a data set offline.

python /workspace/scripts/test_hf_cache.py ORG/NAME [--config C] [--split S] [--cache-dir DIR]
python /workspace/scripts/test_hf_cache.py --self-test
"""

import sys

from vldock.image.offline.show import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
