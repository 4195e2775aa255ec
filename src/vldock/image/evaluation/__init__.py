"""`python -m vldock.image evaluate`: one model on many benchmarks, one cell.json each.

Started by `vldock matrix` (one process per model and device) and by users; calls VLMEvalKit's run for each cell.

command        arguments, the run over the cells, signals
requests       cells of the requested names, and which are finished
cell           one cell: progress, evaluation, record
cell_identity  everything that decides a cell's score
outcome        a cell's result, read back from its files
metrics        VLMEvalKit's metrics to one score of 0-100
gpu_health     whether the GPU still works after an error
stdin_queue    benchmark names from standard input
"""
