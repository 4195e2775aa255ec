"""`vldock models` and `vldock benchmarks`: what is declared, and its files here.

models      the seven models
benchmarks  the 24 benchmarks
"""
