"""Write build.json: digests of everything this image was built from.

The same sources give the same file.

`build_facts.py --stage DIR --base REF` reads the staged tree; the git revision is not content and is an image label.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

OS_PACKAGES = Path("/rootfs/opt/vldock/os-packages.build.txt")  # left by install_lock.sh in the stage before


def digest(files: Iterable[Path], root: Path) -> str:
    """Return a sha256 over the files of a folder.

    It covers sorted (relative path, sha256 of content) pairs, bytecode excluded.
    """
    total = hashlib.sha256()
    for path in sorted(files):
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def facts(stage: Path, *, base: str) -> dict[str, str | None]:
    """Return the build's facts for a staged tree.

    opt/vldock and workspace are below it.
    """
    opt, workspace = stage / "opt/vldock", stage / "workspace"
    sys.path.insert(0, str(opt))
    from vldock import __version__

    return {
        "version": __version__,
        "base": base,
        "lock_sha256": hashlib.sha256((opt / "locks/transformers-4.37.lock").read_bytes()).hexdigest(),
        "patches_sha256": digest((opt / "patches").glob("*.py"), opt),
        "llava_sha256": digest((workspace / "LLaVA").rglob("*"), workspace),
        "vlmevalkit_sha256": digest((workspace / "VLMEvalKit").rglob("*"), workspace),
        "vldock_sha256": digest((opt / "vldock").rglob("*"), opt),
        "os_packages_sha256": hashlib.sha256(OS_PACKAGES.read_bytes()).hexdigest(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", type=Path, required=True)
    parser.add_argument("--base", required=True)
    args = parser.parse_args()
    text = json.dumps(facts(args.stage, base=args.base), indent=2) + "\n"
    (args.stage / "opt/vldock/build.json").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
