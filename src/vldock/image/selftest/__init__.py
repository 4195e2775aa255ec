"""`python -m vldock.image selftest`: the main job, done by the commands a person types, on the stand-ins.

Exit status: 0 every step passed (on the CPU those that need a GPU are left out, by name), 1 a step failed, 2 wrong
arguments, 3 --gpu and there is none, or nowhere to write, 130 interrupted.
"""

from vldock.image.selftest.command import add_arguments, main

__all__ = ["add_arguments", "main"]
