"""An evaluation writes below the cache, outputs, LMUData and /tmp only, and without a warning.

Two witnesses: an audit hook in every Python process (files opened to write, also those removed again), and
`docker diff` (files that any process, in any language, left on the container's file system).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.containers import log_lines
from support.paths import is_writable

from vldock.common.matrix import BENCHMARKS

# one evaluation of twenty benchmarks for all tests of this module
pytestmark = pytest.mark.xdist_group("traced")

AUDIT = Path(__file__).parent / "audit"
# devices and pipes are no files on disk; /run and /etc/mtab are docker's own mount points
NO_DISK = ("/dev", "/proc")


@pytest.fixture(scope="module")
def traced(container_factory, tmp_path_factory):
    """Every benchmark evaluated once: audit log lines, `docker diff` paths, output."""
    log = tmp_path_factory.mktemp("audit")
    log.chmod(0o777)
    names = [benchmark.name for benchmark in BENCHMARKS if not benchmark.extra]
    container = container_factory(["sleep", "1800"], mounts={AUDIT: "/opt/audit", log: "/audit"})
    done = container.exec(
        [
            "python",
            "-m",
            "vldock.image",
            "evaluate",
            "--model",
            "llava_v1.5_7b",
            "--data",
            *names,
            "--limit",
            "2",
            "--out",
            "/workspace/outputs/traced",
        ],
        environment={"VLDOCK_STANDIN": "1", "PYTHONPATH": "/opt/audit", "VLDOCK_ALLOW_PYTHON": "1"},
    )
    assert done.exit_code == 0, done.text
    return (log / "writes.log").read_text().splitlines(), [change["Path"] for change in container.diff()], done.text


def test_the_trace_saw_the_evaluation(traced):
    lines, *_ = traced
    assert any("POPE" in line and "/workspace/outputs/traced" in line for line in lines)


def test_no_python_process_opens_a_file_to_write_elsewhere(traced):
    lines, *_ = traced
    paths = {line.split(" ", 1)[1] for line in lines}
    assert not {path for path in paths if not is_writable(path) and not path.startswith(NO_DISK)}


def test_nothing_else_is_left_on_the_file_system(traced):
    _, paths, _ = traced
    parents = {"/workspace", "/opt", "/audit", "/opt/audit", "/run", "/etc"}
    assert not [path for path in paths if not is_writable(path) and path not in parents]


def test_no_line_at_warning_or_above_is_printed_but_those_listed(traced):
    assert log_lines.unlisted(traced[2]) == []
