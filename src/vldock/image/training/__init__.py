"""Fine-tuning of LLaVA-1.5 and LLaVA-NeXT with HF Trainer, accelerate and peft.

Called by `python -m vldock.image train` and llava/train/workspace_train.py. llava/train/train.py is not used: it knows
neither LLaVA-NeXT nor LoRA without deepspeed (docs/use/train.md).

cli               `train`: check, train, resume         export_cli   `train export`: merged weights
config            every setting and its default         dataset      training and held-out records of a configuration
fit               from configuration to run folder      run_folder   owner of the folder, resuming, lock
workspace_entry   training in $WORKSPACE_ROOT           error_log    tracebacks of failed runs, without secrets
llava_arguments   train.py's command lines as settings  llava_argument_table   each argument's setting, or why none
inputs            absent data and base, and what brings them
data              records, images and batches           model        base, adapters, checkpoints, cached tower
checks            the preflight, and the proof of the first checkpoint
loop              trainer, held-out answers, log, run page, TensorBoard
demo              input and verdict of `make train-demo`
"""
