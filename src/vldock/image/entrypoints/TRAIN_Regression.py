"""Build the feature cache or train the regression head, by the option names of earlier scripts.

torchrun --nproc_per_node=N TRAIN_Regression.py --mode cache --dataset_paths DIR ... --cache_root DIR
python TRAIN_Regression.py --mode train --dataset_paths DIR ... --cache_root DIR
"""

import sys

from vldock.image.heads.old_commands import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], objective="regression"))
