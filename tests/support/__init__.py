"""Helpers of tests/unit and tests/docker."""
