"""Signed in-toto receipts of the tests an image passed.

Written by verification, required by promotion, shown and checked by cli.receipt. Knows images, never a registry.

statement     the receipt as a value, and its in-toto JSON
envelope      the receipt as a file: DSSE, keys, signatures
write         from a finished verification to the file
check         of this image, by a known key, with our tests, all passed
image_facts   lock, base and manifest of an image in the engine
suite         digests of the tests and patches of the checkout
"""
