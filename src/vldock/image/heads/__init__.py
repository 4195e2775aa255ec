"""Policy heads on cached features: images, instruction and state in, action out.

Called by `python -m vldock.image train head`, and by torchrun as `-m vldock.image.heads`.

cli          `train head`                               config       one YAML file for everything
episodes     the user's own data sets                   scenes       drawn episodes, for a demonstration
data         rows, split and batches                    sources      features: the cache, .pt files, none
text         instructions as pieces                     network      the trunk of both policies
objectives   regression, and flow matching with its sampler
policy       trunk and objective, saved and loaded      act          actions for new pictures
prepare      the features of all rows                   train        training
measure      errors on held-out rows, beside policies that see less
old_commands TRAIN_FlowMatching.py and TRAIN_Regression.py
"""
