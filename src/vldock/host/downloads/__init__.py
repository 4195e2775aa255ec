"""Downloads of benchmarks, weights and data sets, whole and verified.

Called by cli.fetch, cli.check and cli.load. Knows the locks and the layout of a hub cache; never prints but by the
listener and the log it is given.

names           benchmarks, repositories and data sets by the names people type
plan            files of a fetch, with address, path and expected content
execute         runs a plan: room, lock, files in parallel, report
progress        display of a fetch: bars or lines, plan, end
request         values: FileRequest, FetchedFile, ProgressListener
file            one file: resumed, checked, renamed
partial_file    NAME.part, its running checksums, its expected content
http            requests with retries; a token for its own host only
small_files     config.json and code, read before the weights
hub_listing     files of a repository at a commit, and those worth having
code_preview    remote code the image can run, before the weights
hub_snapshot    verified blobs published as from_pretrained finds them
hub_token       the Hub's token, from .env or the environment
locked_files    locks/datasets.json and locks/weights.json
inventory       benchmarks and weights on disk, compared with the locks
table_check     problems of a benchmark's table, as run.py finds them
bundle_write    a folder or .tar.zst for a closed cluster
bundle_read     its members, the manifest first
bundle_load     unpacks it: all checked, then renamed
"""
