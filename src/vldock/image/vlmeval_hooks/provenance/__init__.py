"""Provenance of results: recorded beside them, compared before reuse.

Called by patched vlmeval/run.py and inference.py, and by image.engines, which write the same notes.

run_identity  which run the files of a cell belong to
set_aside     moves files of another run away
specs         model, data and code as comparable values
prompts       prompts as sent, sample by sample
sample_notes  fields of a sample's note
special_tokens  answers that begin with a special token
passport      everything behind a score
"""
