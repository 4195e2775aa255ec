"""What the patched VLMEvalKit calls: the inserted lines in upstream's files stay short, the logic is here and tested.

console      main(): preflight, run, one line per cell, exit code; what the console shows of an exception
names        unknown models and benchmarks, with close matches, before anything is loaded
report_counts  failed predictions and verdicts of the benchmarks in a folder, counted once
outcomes     what became of each cell, read back from the files a run left
causes       an exception as one line
models       building a model once, and failing once
wrapper      device and dtype of the LLaVA wrapper
runroot      where a run writes; the stand-in marks
limits       VLMEVAL_SAMPLE_LIMIT and --limit
data         $LMUData
tsv, fetch   benchmark files: checksums, downloads
text_cells   options, questions and predictions as they were written, in every kind of table
text_reading  which rows of a benchmark pandas would have read otherwise
table_look   the look at a table before its first question; table_pictures decodes its pictures, table_paths names them
judge        which judge really runs
identity     which run the files in a folder belong to; set_aside moves the others away
pools        how many processes score open answers
atomic       files that are whole or absent, and predictions saved often enough
env_file     .env
lazy         imports that wait until their name is asked for
factories    the tables of models and video benchmarks, by reference
benchmark_index  which benchmark class knows which names, without importing 250 modules
"""
