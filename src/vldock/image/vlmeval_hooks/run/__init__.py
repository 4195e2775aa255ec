"""One invocation of run.py: from its command line to its exit code.

Called by patched vlmeval/run.py and by image.evaluation and image.session, which run their own cells.

console        main(): preflight, run, one line per cell, exit code
typed_names    names people type, and test splits without answers
unknown_names  models and benchmarks not known, with close matches
sample_limit   --limit and VLMEVAL_SAMPLE_LIMIT
judge          the judge that will run
cell_outcomes  outcome of each cell, read back from files
report_counts  cache of failed predictions and verdicts
"""
