"""Container images as bytes: identity, archives, layers, copies.

Called by promotion, receipts, build and cli. Knows the engine's API and the registry client; runs no image.

identity       digests of a config and its uncompressed layers
inspect        identity of an image in an engine, a registry or a saved tar
local          an image in the engine: find(), identity, `docker save`
remote         an image in a registry, read back and hashed
archive        a saved image, read in one pass
copy           an image's blobs, brought to a repository
files          single files of an image
layer_diff     two layers, file by file
parallel_gzip  gzip on every core, to the same bytes
"""
