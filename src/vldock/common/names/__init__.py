"""Names of models and benchmarks on a command line; nothing slow is imported.

spellings    VLMEvalKit's names for those people type, and the nearest of an unknown one
test_splits  benchmarks of VLMEvalKit without a score, and their splits with answers
"""
