"""/workspace/VLMEvalKit/run.py: VLMEvalKit's command line, prepared by vldock."""

import sys

from vldock.image.process.fast_exit import fast_exit
from vldock.image.run_py import main

if __name__ == "__main__":
    fast_exit(main(sys.argv[1:]))
