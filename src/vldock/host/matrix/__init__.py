"""Evaluate a plan: every model on every benchmark, on the available devices.

Called by cli.matrix. Knows runs (files), containers (execution) and reports; never prints.

runner             execute(): the whole run, its record, tables and reports
dispatcher         gives cells to free devices, in one thread
scheduler          which cell next; pure
running_jobs       jobs at work, a thread each
failure_policy     retry a cell, give it up, or leave a device out
executor           the protocol of a job; LocalContainers
job_container      the container of a job
job_output         what a job did, and why it ended
estimates          expected seconds of cells and loads
background_reads   facts and score intervals, read while containers compute
progress           bars, lines and the table for a person
dry_run            text of `vldock matrix --dry-run`
"""
