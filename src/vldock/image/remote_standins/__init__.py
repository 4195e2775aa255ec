"""Tiny stand-ins of the models that bring their own code, fitted in closed form.

`python -m vldock.image.remote_standins.make` makes them; they lie beside LLaVA's in standin/assets.

remote_code      files that are copied into the snapshots and loaded with trust_remote_code
base             what a stand-in is, and files common to their snapshots
record           what reaches a decoder for every sample
fit              a decoder's memory, from recorded prompts
internvl2        InternVL2-2B and InternVL2-8B
minicpmv26       MiniCPM-V-2_6
qwen2_tokenizer  its tokenizer
cogvlm           cogvlm-chat, and its tokenizer's repository
sharegpt4v       sharegpt4v_7b, derived from llava-v1.5-7b's stand-in
sensitivity      the scores of drifted pipelines
make             the command that makes them all
"""
