"""The worker's process: `python -m vldock.image.session.worker_main LISTENER CONTROL CAUSE [--model NAME]...`.

Started by the server, which holds the other ends of the sockets and reads from CAUSE why this process ended: an error
of an import, of a load or of the thread that hears is written there.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

from vldock.image.session import worker_failure


def main(argv: list[str]) -> NoReturn:
    """Be the session's worker until the process ends."""
    parser = argparse.ArgumentParser(prog="vldock.image.session.worker_main")
    for name in ("listener", "control", "cause"):
        parser.add_argument(name, type=int)
    parser.add_argument("--model", action="append", default=[])
    args = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to hear
    events = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no event

    def die(error: BaseException, status: int = 1) -> NoReturn:
        """End the process from any of its threads."""
        worker_failure.write_cause(args.cause, error)
        traceback.print_exception(error)
        os._exit(status)

    try:
        from vldock.image.events import emitter
        from vldock.image.session.worker import SessionWorker
        from vldock.image.startup import prepare as startup

        startup.prepare_imports()  # the rest is in the environment the server gave us
        startup.measure(os.environ)
        emit = emitter(os.fdopen(events, "w", encoding="utf-8"), as_json=True)
        worker = SessionWorker(socket.socket(fileno=args.listener), emit=emit, die=die)
        worker.run(socket.socket(fileno=args.control), args.model)
    except BaseException as error:  # noqa: BLE001  whatever it is, the server tells it
        die(error)


if __name__ == "__main__":
    main(sys.argv[1:])
