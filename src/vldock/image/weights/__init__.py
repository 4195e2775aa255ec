"""Files of models: where they are, whether they are complete, their sha256.

hub_snapshots  snapshots in the Hugging Face cache
model_files    files and digests of a model and its vision tower
file_hashes    sha256 of large files, cached
"""
