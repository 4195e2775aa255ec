"""The door at /workspace/VLMEvalKit/run.py: VLMEvalKit's command line, prepared by vldock."""

import sys

from vldock.image.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
