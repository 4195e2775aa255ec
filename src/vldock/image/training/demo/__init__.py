"""Demonstration of a training: drawn flowers, a tiny base, and the accuracy required.

Called by scripts/train_demo.sh and the tests.

cli       makes the input, checks the result            flowers   draws flowers, writes the base
"""
