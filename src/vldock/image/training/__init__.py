"""Fine-tuning LLaVA-1.5 and LLaVA-NeXT: `python -m vldock.image train`, with HF Trainer, accelerate and peft.

config.py      every setting and its default; a YAML file and KEY=VALUE words override; the resolved one is saved
records.py     LLaVA's conversation JSON as values, flaws.py what is wrong with it; conversations.py its turns
pictures.py    images: where they are read from, what is wrong with one, and how it is made RGB
flowers.py     Oxford Flowers 102 (Hub cache or original archive) as pictures with a name; questions.py asks about them
sources.py     a configuration's data: training and held-out records
encode.py      records to tokens, masked labels and image tensors; batch.py puts them together, image_sizes too
model.py       base, adapters and what trains; checkpoint.py writes and reads it, in LLaVA's own formats
precision.py   what a device computes in; attention under CPU autocast
trainer.py     HF Trainer with what it lacks: resumable order, batch halving, gradient norms, accuracy of answers
together.py    several processes: whether a batch fitted all of them, and the mean of their gradients
check.py       the preflight: nothing is trained before it passes
export.py      merged weights that run.py and predict.py load
page.py        the run page: plots as PNG, one HTML file; scalars.py: the same curves as TensorBoard files
tower_cache.py the frozen tower's features from the feature cache; frozen.py is that tower as the cache knows it

llava/train/train.py is not used: it knows neither LLaVA-NeXT nor LoRA without deepspeed (docs/use/train.md).
"""
