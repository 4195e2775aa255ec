"""Move LLaVA and VLMEvalKit out of site-packages and make them editable.

`relocate.py --site SITE --staging DIR NAME=PACKAGE=TARGET ...` moves SITE/PACKAGE to DIR/TARGET/PACKAGE and
leaves in SITE the files of an editable install: a .pth to /TARGET, direct_url.json, and a RECORD of just these
(PEP 610, PEP 660).
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import shutil
from pathlib import Path


def record_line(site: Path, path: Path) -> tuple[str, str, str]:
    """Return the RECORD row of an installed file.

    Its path relative to `site`, its urlsafe sha256 without padding, and its size in bytes.
    """
    data = path.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return str(path.relative_to(site)), f"sha256={digest}", str(len(data))


def relocate(site: Path, staging: Path, *, distribution: str, package: str, target: str) -> None:
    """Move one package.

    Raises FileNotFoundError if its wheel did not put it there.
    """
    (info,) = site.glob(f"{distribution.replace('-', '_')}-*.dist-info")
    destination = staging / target.lstrip("/")
    destination.mkdir(parents=True, exist_ok=True)
    shutil.move(site / package, destination / package)
    pth = site / f"__editable__.{distribution.replace('-', '_')}.pth"
    pth.write_text(f"{target}\n", encoding="utf-8")
    direct_url = {"dir_info": {"editable": True}, "url": f"file://{target}"}
    (info / "direct_url.json").write_text(json.dumps(direct_url), encoding="utf-8")
    kept = [path for path in sorted(info.rglob("*")) if path.is_file() and path.name != "RECORD"]
    with (info / "RECORD").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows(record_line(site, path) for path in [pth, *kept])
        writer.writerow((f"{info.name}/RECORD", "", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--staging", type=Path, required=True)
    parser.add_argument("moves", nargs="+", metavar="NAME=PACKAGE=TARGET")
    args = parser.parse_args()
    for move in args.moves:
        distribution, package, target = move.split("=")
        relocate(args.site, args.staging, distribution=distribution, package=package, target=target)


if __name__ == "__main__":
    main()
