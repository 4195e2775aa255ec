"""Training loop: HF Trainer, held-out scores, and the records a run leaves.

Called by training.fit.

trainer         HF Trainer with deterministic resume    gradient_sync   several processes: fit, mean gradients
heldout         answers and metrics                     monitor         speed, memory, JSON log, early stop
rows_at_once    halved batches that grow again          watches         norms, loss spikes, the loss's range
workers         processes that read batches             hf_arguments    TrainingArguments of a configuration
run_page        plots and one HTML page                 tensorboard     the same curves as event files
optimizer       AdamW, the projector at a rate of its own
"""
