"""For every test: Ctrl-C reaches the processes a test starts.

A script's job in the background ignores SIGINT, and whatever it starts inherits that.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
