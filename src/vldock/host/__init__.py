"""Runs on the user's machine: Docker SDK, pip-tools; never torch."""
