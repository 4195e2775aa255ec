"""Convert pytest's report of the verify stage to verify.json.

Counts, reasons and digests; nothing that depends on a clock.

`python -m vldock.image.build.verify_receipt REPORT.xml TESTS OUT.json`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vldock.image.build.build_facts import digest


def receipt(report: Path, tests: Path) -> dict[str, Any]:
    """Return the receipt of the in-image tests.

    Numbers of tests, reasons of skips, and the sha256 of the tests.
    Raises ParseError or OSError if pytest left no complete report.
    """
    cases = list(ElementTree.parse(report).iter("testcase"))
    skips = [mark for case in cases if (mark := case.find("skipped")) is not None]
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return {
        "tests": len(cases),
        "passed": len(cases) - failed - len(skips),
        "failed": failed,
        "skipped": sorted({mark.get("message", "") for mark in skips}),
        "tests_sha256": digest(tests.rglob("*"), tests),
    }


def main(report: str, tests: str, out: str) -> None:
    """Write the receipt."""
    text = json.dumps(receipt(Path(report), Path(tests)), indent=2) + "\n"
    Path(out).write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
