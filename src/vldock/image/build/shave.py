"""Remove unusable files from site-packages; report each with its reason.

`shave.py --site SITE --report FILE` runs after prove.py has compared the wheels with the lock. tests/image import every
distribution afterwards and exercise the libraries beside the removed files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Removal:
    """Globs under site-packages, and why nothing there can be used."""

    globs: tuple[str, ...]
    reason: str


REMOVALS = (
    Removal(
        tuple(f"bitsandbytes/libbitsandbytes_cuda{v}*.so" for v in ("117", "118", "120", "122", "123", "124", "125")),
        "bitsandbytes loads the library of torch's own CUDA release, 12.1",
    ),
    Removal(("nvidia/cusolver/lib/libcusolverMg.so*",), "multi-GPU solver; nothing in torch links or loads it"),
    Removal(("nvidia/cublas/lib/libnvblas.so*",), "BLAS interposer for LD_PRELOAD; nothing links it"),
    Removal(("nvidia/cufft/lib/libcufftw.so*",), "FFTW interface; nothing links it"),
    Removal(
        ("xformers/_C_flashattention.so",),
        "flash-attn's kernels; this image has none, xformers' own CUTLASS kernels remain",
    ),
    Removal(
        ("torch/include", "torch/share/cmake", "nvidia/*/include", "pyarrow/include", "numpy/core/include"),
        "headers; there is no compiler here",
    ),
    Removal(("torch/bin/nvfuser_tests", "torch/bin/protoc*", "torch/test"), "build and test programs of torch"),
    Removal(
        tuple(
            f"{package}/**/tests"
            for package in (
                "fsspec",
                "matplotlib",
                "networkx",
                "numpy",
                "pandas",
                "pyarrow",
                "scipy",
                "sklearn",
                "sympy",
                "traitlets",
                "torch/fx",
            )
        ),
        "test suites of libraries",
    ),
    Removal(
        ("pyarrow/*.pxd", "pyarrow/includes", "pyarrow/src", "matplotlib/mpl-data/sample_data"), "sources and samples"
    ),
)

# Symbol tables (.symtab) are for debuggers; dynamic symbols stay. Both libraries are exercised on a CPU by the tests.
STRIP = ("triton/_C/libtriton.so", "torch/lib/libtorch_cpu.so", "xformers/_C.so")


def size(path: Path) -> int:
    """Return the size in bytes of a file or folder.

    A folder has the size of all files below it.
    """
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(item.lstat().st_size for item in path.rglob("*") if not item.is_dir())


def remove(site: Path, removal: Removal) -> list[dict[str, str | int]]:
    """Delete the matches of a removal's globs.

    Returns one row per deletion.
    """
    rows: list[dict[str, str | int]] = []
    for glob in removal.globs:
        for path in sorted(site.glob(glob)):
            rows.append({"path": str(path.relative_to(site)), "bytes": size(path), "reason": removal.reason})
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return rows


def strip(site: Path, name: str) -> dict[str, str | int]:
    """Strip one library's symbol table in place and return its row."""
    before = size(site / name)
    subprocess.run(["strip", "--strip-unneeded", str(site / name)], check=True)
    return {"path": name, "bytes": before - size(site / name), "reason": "symbol table stripped"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    args = parser.parse_args()
    rows = [row for removal in REMOVALS for row in remove(args.site, removal)]
    rows += [strip(args.site, name) for name in STRIP]
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"shaved {sum(int(row['bytes']) for row in rows) / 1e6:.0f} MB in {len(rows)} places: {args.report}")


if __name__ == "__main__":
    main()
