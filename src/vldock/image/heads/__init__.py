"""Policy heads on cached vision features: image and instruction in, action out.

Called by `python -m vldock.image train head`, and by torchrun as `-m vldock.image.heads`.

cli          `train head`                               config       one YAML file for everything
scenes       drawn pictures, instructions, actions      data         the data set, with cached features
network      the trunk of both policies                 objectives   regression, and flow matching with its sampler
policy       trunk and objective, saved and loaded      train        preparation and training
measure      measures on held-out rows
"""
