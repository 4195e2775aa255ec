"""A matrix run on disk.

Called by matrix, reports, sessions and cli. Knows files and values; starts nothing.

plan            RunPlan: models, benchmarks and settings, written before the first container
record          RunRecord: run.json as a value
folder          outputs/<timestamp>/: paths, run.json, lock
cell_records    cell.json judged by the plan
events          JSON lines of a container, and the summary log
log_files       logs of a model's containers, merged
devices         GPUs, or shares of the CPU, that a run works on
"""
