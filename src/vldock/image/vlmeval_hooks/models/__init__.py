"""VLMEvalKit's tables of models and benchmarks, and the construction of a model.

Called by patched vlmeval/config.py, dataset/__init__.py and inference.py, and by run_py for custom models.

build            builds a model once
requirements     memory for a model's weights on a CPU
factories        entries of the tables as references, imported on use
benchmark_index  benchmark classes and their names
own_models       custom models: --model NAME=FOLDER
own_llava        their wrapper
minicpm          start token and picture sizes of MiniCPM-V 2.6
"""
