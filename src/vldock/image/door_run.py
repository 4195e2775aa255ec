"""The door at /workspace/VLMEvalKit/run.py: VLMEvalKit's command line, prepared by vldock."""

import sys

from vldock.image.leave import leave
from vldock.image.run import main

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
