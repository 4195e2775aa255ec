"""Build the image, and prove the build reproducible.

Called by cli, doctor and the Makefile. Knows the Dockerfile, the locks and the base image; runs nothing in the image.

image            `docker build`: arguments, disk space, failure in one line
base_image       the base image: found, pulled by digest, or bootstrapped
bootstrap        a Debian image made by mmdebstrap, without a registry
log_parser       a build's log: the failed stage, packages with a wrong hash
locks            hashed locks: pip-tools writes them, uv checks them
generate         generated text: the Dockerfile's ENV block, tables of docs/
exit_codes       the table of exit codes in docs/use/exit-codes.md
model_table      the table of models in docs/use/models.md
reproducibility  two builds compared layer by layer
os_packages      versions of Debian packages, recorded and compared
prune            containers and images of ours, removed by label
"""
