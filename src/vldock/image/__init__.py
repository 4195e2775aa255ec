"""Runs in the container: torch, transformers, llava, vlmeval; never docker."""
