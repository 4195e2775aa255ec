"""The rows of every benchmark, and how they are written."""
