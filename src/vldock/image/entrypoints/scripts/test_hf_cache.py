"""Show, step by step, that training can read a data set offline.

python test_hf_cache.py                      # the data set of the cache, or the one training is configured for
python test_hf_cache.py ORG/NAME [--config C] [--split S] [--cache-dir DIR] [--no-copy]
python test_hf_cache.py --self-test
"""

import sys

from vldock.image.offline.show import main
from vldock.image.training.config import Data

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], configured=Data().name))
