"""Host side: commands, Docker and files on the user's machine.

It never imports torch, and reaches Docker by its SDK or command.

Layers, top to bottom; a package imports only from those below it (contracts in pyproject.toml):

cli            the command `vldock`: parse options, call, print
promotion      a verified image to a registry, its tags moved last
verification   the image's test groups, SBOM, mini-benchmark
matrix         every model on every benchmark
doctor         findings on this machine
receipts       which tests an image passed, signed
build          the image and its base: locks, generated text, reproducibility
sessions       containers that keep models loaded
reports        from a run's files to Markdown, HTML, tables, comparisons
downloads      benchmarks and weights, complete and verified
images         the content of a Docker image
registry       OCI distribution client
containers     start, watch and remove containers
runs           a matrix run on disk
docker_engine  the Docker engine and its command
cache          local caches: scan, verify, prune, checkup
util           console, processes, retries; no domain knowledge
errors         the exception tree of the host
"""
