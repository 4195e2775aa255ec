"""Checks of a training: preflight and proof of the first checkpoint.

Called by training.cli and training.fit. Knows a loaded model and its data; each check has an expected and a seen value.

preflight          every check, in order                measurements   loss, gradients, memory, disk
first_checkpoint   saved weights read back               padding        a batch of two lengths, row by row
"""
