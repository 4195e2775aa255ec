"""The container's side: torch, transformers, llava, vlmeval; never docker.

Layers, top to bottom; a package imports from lower lines only (import-linter, pyproject.toml):

run_py, doctor, selftest                       run.py of VLMEvalKit; container checks; the main job on the stand-ins
evaluation, session, predict, training, heads  the commands
engines                                        inference: VLMEvalKit's own loop, or batches
build                                          steps of `docker build`
features                                       vision features, computed once
workspace, vlmeval_hooks                       LLaVA's scripts; called by the patches of VLMEvalKit
llava_hooks, answering, startup, offline       called by the patches of LLaVA; types; preparation; data sets by name
remote_standins                                tiny models of the families that bring their own code
remote_code                                    Python that a model's repository brings: checked, recorded
timing, weights, standin                       seconds by phase; model files; tiny models and samples
process, events, cuda_device, version          this process, its events, its GPU
settings_file, picture_file                    YAML settings; an image file opened and checked
"""
