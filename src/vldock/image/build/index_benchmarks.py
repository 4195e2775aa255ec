"""Write the index of VLMEvalKit's benchmarks: a build step after the patches."""

from __future__ import annotations

from vldock.image.vlmeval_hooks.models import benchmark_index


def main() -> None:
    """Write the index and print its size."""
    written = benchmark_index.write()
    print(f"{written}: {len(benchmark_index.list_supported() or [])} benchmarks")


if __name__ == "__main__":
    main()
