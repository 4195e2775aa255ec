"""Two builds compared layer by layer; differences named by file or OS package."""

from __future__ import annotations

import io
import tarfile

import pytest

from vldock.common.errors import InputRefused
from vldock.host.build import os_packages
from vldock.host.build.os_packages import OsPackages
from vldock.host.build.reproducibility import LayerPair, Proof
from vldock.host.images import layer_diff

STATUS = """Package: bash
Status: install ok installed
Version: 5.2.15-2+b7
Description: shell
 more: text

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def layer(*files: tuple[str, bytes, int], mode: int = 0o644) -> layer_diff.Layer:
    """Entries of a layer with files (name, content, mtime)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, mtime in files:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), mtime, mode
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return layer_diff.read_entries(out)


def test_equal_layers_differ_in_nothing_but_what_is_around_them():
    assert "around" in layer_diff.compare(layer(("a", b"1", 1)), layer(("a", b"1", 1)))[0]


@pytest.mark.parametrize(
    ("second", "says"),
    [
        pytest.param(layer(("a", b"2", 1)), "/a: sha256", id="content"),
        pytest.param(layer(("a", b"1", 2)), "/a: mtime: 1.0 -> 2.0", id="time"),
        pytest.param(layer(("a", b"1", 1), mode=0o600), "/a: mode", id="mode"),
        pytest.param(layer(("a", b"1", 1), ("b", b"", 1)), "/b: only in the second", id="one more"),
        pytest.param(layer(), "/a: only in the first", id="one less"),
    ],
)
def test_a_difference_is_told_by_file(second, says):
    (line,) = layer_diff.compare(layer(("a", b"1", 1)), second)
    assert line.startswith(says)


def test_another_order_is_a_difference():
    here, there = layer(("a", b"", 1), ("b", b"", 1)), layer(("b", b"", 1), ("a", b"", 1))
    assert layer_diff.compare(here, there) == ["the same entries in another order"]


@pytest.mark.parametrize(
    ("digests", "holds", "verdict"),
    [
        ([("x", "x"), ("y", "y")], True, "2/2 layers match"),
        ([("x", "x"), ("y", "z")], False, "1/2 layers match"),
        ([("x", "x"), ("y", None)], False, "1/2 layers match"),
        ([], False, "0/0 layers match"),
    ],
)
def test_a_proof_holds_when_all_layers_match(digests, holds, verdict):
    pairs = tuple(LayerPair(number, *pair, step="RUN") for number, pair in enumerate(digests, 1))
    proof = Proof("a", "b", pairs)
    assert (proof.holds, proof.verdict) == (holds, verdict)


def test_installed_packages_are_read_from_dpkg_s_status():
    assert os_packages.parse_dpkg_status(STATUS) == {"bash": "5.2.15-2+b7"}


def test_drift_is_told_by_package():
    was = OsPackages({"bash": "1", "tini": "1"}, {"binutils": "2"})
    now = OsPackages({"bash": "2", "tini": "1"}, {"binutils": "2", "gcc": "3"})
    assert os_packages.drift(was, now) == ["image: bash 1 -> 2", "build: gcc not there -> 3"]
    assert os_packages.drift(was, was) == []


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = OsPackages({"b": "1", "a": "2"}, {})
    record.save(tmp_path / "r.json")
    assert OsPackages.load(tmp_path / "r.json") == record


def test_a_file_that_is_no_record_is_refused(tmp_path):
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(InputRefused, match="no record of OS packages"):
        OsPackages.load(tmp_path / "r.json")
