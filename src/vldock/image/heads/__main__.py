"""`python -m vldock.image.heads`: `train head` for torchrun -m, and `act`."""

from __future__ import annotations

import argparse
import sys

from vldock.common.errors import VldockError


def _run(words: list[str]) -> int:
    if words[:1] == ["act"]:
        from vldock.image.heads import act

        parser = argparse.ArgumentParser(prog="python -m vldock.image.heads act", description=act.__doc__)
        act.add_arguments(parser)
        return act.main(parser.parse_args(words[1:]))
    from vldock.image.heads import cli

    parser = argparse.ArgumentParser(
        prog="python -m vldock.image train head", description=cli.__doc__, epilog="act --help: actions for new pictures"
    )
    cli.add_arguments(parser)
    return cli.main(parser.parse_args(words))


if __name__ == "__main__":
    try:
        sys.exit(_run(sys.argv[1:]))
    except VldockError as error:
        print(error.render(), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("error: stopped; built features are kept, the same command continues", file=sys.stderr)
        sys.exit(130)
