"""`python -m vldock.image.heads`: `train head` for torchrun -m."""

from __future__ import annotations

import argparse
import sys

from vldock.common.errors import VldockError
from vldock.image.heads import cli

if __name__ == "__main__":
    PARSER = argparse.ArgumentParser(prog="python -m vldock.image train head", description=cli.__doc__)
    cli.add_arguments(PARSER)
    try:
        sys.exit(cli.main(PARSER.parse_args()))
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        sys.exit(error.exit_code)
