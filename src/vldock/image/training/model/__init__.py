"""Model in training: loading, adapters, precision, checkpoints, export, cached tower.

Called by training.fit, checks and export_cli. Reads and writes LLaVA's own formats.

base            files of the base, and reading it    language_model  becomes a LLaVA-1.5
load            base, adapters, trainable weights       precision       dtypes of a device, and of CPU autocast
checkpoint      write and read trained weights          export          merge into the base
frozen_tower    the tower, in the cache's interface     cached_tower    its features from the cache
"""
