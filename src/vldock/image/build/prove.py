"""Check that the installed distributions equal the lock.

Same names, same versions, and every file equal to its wheel's RECORD.

`prove.py --lock LOCK --site SITE [--bin DIR]` exits 4 with one line per difference.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distributions
from pathlib import Path

# Files that differ from RECORD in the wheel as published: the wheel's hash is in the lock, its own list is wrong.
PUBLISHED_WRONG = {"decord-0.6.0.dist-info/top_level.txt"}


def normalise(name: str) -> str:
    """Return the PEP 503 form of a distribution name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_locked(text: str) -> dict[str, str]:
    """Return {name: version} of a lock."""
    return {normalise(n): v for n, v in re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", text, flags=re.MULTILINE)}


def urlsafe(digest: bytes) -> str:
    """Return a digest as RECORD writes it: urlsafe base64 without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def wrong_files(dist: Distribution) -> list[str]:
    """Return a distribution's files missing from or different to RECORD."""
    text = dist.read_text("RECORD") or ""
    problems = []
    for name, digest, _size in csv.reader(text.splitlines()):
        path = Path(str(dist.locate_file(name)))
        if not digest or name.endswith(".pyc") or name in PUBLISHED_WRONG:
            continue
        algorithm, _, expected = digest.partition("=")
        if not path.exists():
            problems.append(f"{dist.name}: {name} is missing")
        elif urlsafe(hashlib.new(algorithm, path.read_bytes()).digest()) != expected:
            problems.append(f"{dist.name}: {name} differs from its wheel")
    return problems


def differences(lock_text: str, site: Path) -> list[str]:
    """Return every difference between the lock and the distributions in `site`."""
    wanted = parse_locked(lock_text)
    found = {normalise(dist.name): dist for dist in distributions(path=[str(site)])}
    missing, added = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    problems = [f"{name} {wanted[name]} is locked and not installed" for name in missing]
    problems += [f"{name} {found[name].version} is installed and not locked" for name in added]
    for name in sorted(wanted.keys() & found.keys()):
        if found[name].version != wanted[name]:
            problems.append(f"{name}: locked {wanted[name]}, installed {found[name].version}")
    with ThreadPoolExecutor() as pool:
        for lines in pool.map(wrong_files, found.values()):
            problems += lines
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--site", type=Path, required=True)
    args = parser.parse_args()
    text = args.lock.read_text(encoding="utf-8")
    problems = differences(text, args.site)
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    if not problems:
        print(f"installed = locked: {len(parse_locked(text))} distributions, every file as recorded")
    return 4 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
