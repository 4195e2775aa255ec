"""Time of a process by phase, written where VLDOCK_PHASES names a file.

switch     turns the timing on; imports nothing where it is off
phases     functions timed, by phase; the line written at the end
stopwatch  seconds by phase, each counted once
"""
