"""vldock: one Docker image, and its harness, to evaluate LLaVA-era vision-language models.

common  facts and values of both sides; standard library only
host    the command `vldock`, on the user's machine; never torch
image   the container's side; never docker
"""

__version__ = "0.1.0"
