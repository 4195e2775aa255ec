"""Models of a workspace: location of weights, and LLaVA classes.

A model's name decides which class of LLaVA loads it.
Called by predict, training, features, the hooks in VLMEvalKit, and the modules patch_llava_workspace.py adds to LLaVA.

model_location   from a name to a folder or repository  naming    the name by which LLaVA picks a class
builder          load_pretrained_model for names        clip      the CLIP tower from the cache
"""
