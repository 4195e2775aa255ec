"""Audit hook on PYTHONPATH: every Python process logs each file it opens to write or makes."""

import os
import sys

LOG = os.open("/audit/writes.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
MAKES = {"os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate", "shutil.move", "shutil.copyfile"}


def note(event, args):
    if event == "open" and isinstance(args[0], str | bytes):
        flags = args[2] if isinstance(args[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            os.write(LOG, f"{event} {os.path.abspath(os.fsdecode(args[0]))}\n".encode())
    elif event in MAKES:
        os.write(LOG, f"{event} {os.path.abspath(os.fsdecode(args[0 if event == 'os.mkdir' else 1]))}\n".encode())


sys.addaudithook(note)
