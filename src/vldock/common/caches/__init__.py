"""Hugging Face's caches: one place in every documented layout, for whatever HF_HOME the user sets.

Called by preflight, workspace and the .pth file of the image. They run at every start, so they import nothing slow.

hf_home    variables that follow HF_HOME and HF_HUB_CACHE
links      links that make the layouts of a cache root one place
locations  both, applied to a container: .env, variables, links, a view that shows all models
"""
