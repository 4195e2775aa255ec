"""One process of a run: environment, GPUs, ranks and messages.

Called by every package above and by patched vlmeval/smp and run.py. Imports none of the other hooks.

env_file      .env files of VLMEvalKit's package
placement     device and dtype
cpu_attention xformers' attention on a CPU
ranks         processes that share a run (torchrun)
scoring_pool  pool that scores open answers
error_lines   an exception as one line
redact        keys hidden in logs
"""
