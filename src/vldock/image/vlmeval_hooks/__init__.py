"""Functions the patched VLMEvalKit calls.

patches/ insert short lines into upstream's files; the logic is here, typed and tested. Each package imports only from
those below it:

run         one run.py: command line, judge, sample limit, exit code, outcome of each cell
models      tables of models and benchmarks, imported on use; a model built once
provenance  origin of a result: identity, prompts, passport; files of another run set aside
files       benchmark tables and their images, predictions, output folder
process     one process: .env, ranks and GPUs, device, error lines, redaction, scoring pool
"""
