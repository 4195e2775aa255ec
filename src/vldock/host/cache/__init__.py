"""Caches on this machine: listed, verified, pruned, examined.

Called by cli.cache. Knows the layouts of huggingface_hub and datasets; imports no other host package but util.

locations    folders of caches: hubs, Arrow data, benchmarks, features
items        one item per model, data set, benchmark, set of features
verify       content against checksums, without a network; repair of references
problems     unfinished downloads, orphaned blobs, dangling links
prune        plan of deletions, then its execution
checkup      `vldock cache doctor`
filesystem   hazards of a file system, and a trial of flock, links, rename
permissions  owners and modes, and the command that repairs them
"""
