"""`vldock matrix`: the command and its options.

command   options to a plan, a run folder and an exit code
options   options of this command alone, and the choice of the inference engine
"""
