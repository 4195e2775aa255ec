"""The worker's process: `python -m vldock.image.session.worker_main LISTENER CONTROL CAUSE [--model NAME]...`.

Started by the server, which holds the other ends of the sockets and reads CAUSE when this process has ended: errors of
imports, of loads and of the I/O thread are written there.
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
    """Run the session's worker until the process ends."""
    parser = argparse.ArgumentParser(prog="vldock.image.session.worker_main")
    for name in ("listener", "control", "cause"):
        parser.add_argument(name, type=int)
    parser.add_argument("--model", action="append", default=[])
    args = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C
    events = os.dup(1)
    os.dup2(2, 1)  # libraries' output is not an event

    def die(error: BaseException, status: int = 1) -> NoReturn:
        """End the process from any of its threads."""
        worker_failure.write_cause(args.cause, error)
        traceback.print_exception(error)
        os._exit(status)

    try:
        from vldock.image.events import make_emitter
        from vldock.image.session.worker import SessionWorker
        from vldock.image.startup import prepare as startup
        from vldock.image.timing import switch as timing_switch

        startup.prepare_imports()  # the environment was prepared by the server
        timing_switch.measure(os.environ)
        emit = make_emitter(os.fdopen(events, "w", encoding="utf-8"), as_json=True)
        worker = SessionWorker(socket.socket(fileno=args.listener), emit=emit, die=die)
        worker.run(socket.socket(fileno=args.control), args.model)
    except BaseException as error:  # noqa: BLE001  whatever it is, the server reports it
        die(error)


if __name__ == "__main__":
    main(sys.argv[1:])
