"""Facts and values shared by host and image; standard library only.

Imported on both sides, some modules at every start of a container or of run.py: those import nothing slow.

Facts: matrix (models, benchmarks), names/ (spellings, test splits), dataset_names, cache_env (cache variables),
image_paths, prompt_style, build_digest.
Records: cell_record, passport, equality (two prediction files), check (one finding), errors (the exception tree).
Settings: inference_options, standin_choice, dot_env (reads .env), env_files (writes .env), workspace, workspace_cli.
Files: hashing, hub_cache_layout, weight_files, remote_code, tables/ (a benchmark's table), filesystem/ (writes),
caches/ (Hugging Face's folders and variables).
Machine: preflight and health (run as scripts in the container), machine/ (GPUs, memory), https.

preflight.py and health.py must remain here: their paths are named in images already shipped.
"""
