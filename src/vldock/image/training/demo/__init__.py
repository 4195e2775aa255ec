"""Demonstration of a training: drawn flowers and a tiny base.

A required accuracy is checked.
Called by scripts/train_demo.sh and the tests.

cli       makes the input, checks the result            flowers   draws flowers, writes the base
"""
