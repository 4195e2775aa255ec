"""Two small policies on a frozen vision tower's features: image and instruction in, a continuous action out.

scenes.py      drawn pictures with instructions and actions; some instructions have two right actions
config.py      one YAML file for the data, the cache and both trainings
network.py     the trunk both share; objectives.py: regression, and conditional flow matching with its sampler
train.py       one training for both, from the cache; measure.py: what is told of held-out rows
cli.py         `python -m vldock.image train head`
"""
