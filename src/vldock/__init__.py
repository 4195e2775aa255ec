"""vldock: one Docker image, and the harness around it, for evaluating LLaVA-era vision-language models."""

__version__ = "0.1.0"
