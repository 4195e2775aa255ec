"""`python -m vldock.image selftest`: the main job on the stand-ins.

Exit status: 0 every step passed (on the CPU those that need a GPU are skipped, by name), 1 a step failed, 2 wrong
arguments, 3 --gpu without a GPU, or no writable folder, 130 interrupted.

command    arguments, work folder, device, exit status
steps      the steps, their order and results
context    settings and environment of the steps, and how they run a command
cells      cells of `vldock matrix` by both engines, compared
inference  session, predict.py and the feature cache
train      LoRA, QLoRA, export, torchrun
ranks      one of torchrun's ranks
samples    images, questions and conversations from the stand-ins' tables
report     the table and the JSON
"""

from vldock.image.selftest.command import add_arguments, main

__all__ = ["add_arguments", "main"]
