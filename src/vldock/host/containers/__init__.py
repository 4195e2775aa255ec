"""Containers: specified, started, watched and removed.

Called by cli, matrix, sessions, verification and others. Knows the docker SDK; knows no model and no benchmark.

spec            Spec: what a container is started with, for the SDK and as `docker run`
lifecycle       running(): a started container with its output, removed at the end
streams         standard output and error, separately
cleanup         stop, remove, and find leftovers by label
gpus            which GPUs a container gets
terminal        `vldock run` and `vldock shell`: a container on this terminal
training        the container of `vldock train`
path_arguments  files of this machine in the arguments of `vldock predict`
"""
