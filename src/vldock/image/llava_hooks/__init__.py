"""Functions the patched LLaVA calls, and its prompt format.

Called by llava/model/builder.py and llava/mm_utils.py after patches/, and by all that build prompts for a LLaVA.

tower_attention attention of the CLIP tower: transformers' or SDPA
loading         class, device, dtype and vision tower of a checkpoint
wording         text of a conversation with images
markers         image markers inside a question's text
positions       number of positions each image takes
small_pictures  images of 1 or 3 pixels a side
"""
