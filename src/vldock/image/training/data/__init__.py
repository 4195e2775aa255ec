"""Data of a training: records, images, flaws and batches.

Batches are made of the records and images.
Called by training.dataset and the trainer. All but encode, batch and sample_order run without torch, on the host too.

problems          kinds of flaws and their remedies     records           LLaVA's conversation JSON
conversations     a record's turns                      images            bytes, flaws, conversion to RGB
split             samples and held-out parts            oxford_flowers    the flowers, from archive or Hub
flower_names      the 102 names                         flower_questions  questions about a flower
benchmark_tsv     held-out choices for run.py
encode            token ids, labels, image tensors      batch             padding, and batches in parts
sample_order      the order of a whole run
"""
