"""Remote code of models: what transformers executes of a repository (trust_remote_code).

It runs from a folder of this process's own, is compared with the snapshot it was copied from, with the pins of
locks/weights.json, and recorded.

loading           hooks in transformers.dynamic_module_utils
required_imports  packages that a file needs
modules_folder    folder of the copies that run
admission         pinned, accepted by name, or refused
executed          what runs in this process, by repository
"""
