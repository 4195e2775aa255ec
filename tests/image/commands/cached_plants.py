"""A tiny data set: its name, revisions, rows of each split, and a card with two configurations."""

from __future__ import annotations

COMMIT, OTHER = "a" * 40, "b" * 40
NAME = "org/Plants"
ROWS = {"train": {"x": [1, 2, 3], "y": ["a", "b", "c"]}, "test": {"x": [4], "y": ["d"]}}
CARD = """---
configs:
- config_name: default
  data_files: [{split: train, path: data/train-*}, {split: test, path: data/test-*}]
- config_name: small
  data_files: [{split: train, path: data/test-*}]
dataset_info:
- config_name: default
  features: [{name: x, dtype: {class_label: {names: {'0': no, '1': daisy, '2': rose, '3': lily, '4': fern}}}},
             {name: y, dtype: string}]
- config_name: small
  features: [{name: x, dtype: int64}, {name: y, dtype: string}]
---
"""
