"""Hardware of a machine: GPUs and memory, on both sides.

Called by the host's choice of devices and by the hooks in VLMEvalKit.

nvidia_smi   GPU UUIDs in `nvidia-smi -L`'s output   cpu_memory   models too large for a CPU's memory
"""
