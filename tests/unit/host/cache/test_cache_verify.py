"""`vldock cache verify`: blobs, data sets and benchmarks against their checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.hub_cache_builder import blob

from vldock.host.cache import locations
from vldock.host.cache import verify as cache_verify
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke

END = cache_verify.END_OF_STREAM


def test_every_blob_is_compared_with_its_name(cache: Path) -> None:
    small = b'{"a": 1}'
    git = hashlib.sha1(b"blob %d\0" % len(small) + small, usedforsecurity=False).hexdigest()
    (blob(cache).parent / git).write_bytes(small)
    (blob(cache).parent / "etag-of-another-kind").write_bytes(b"?")
    places = locations.find(cache=cache)

    whole = cache_verify.verify(places)
    blob(cache).write_bytes(b"Weights")
    damaged = [one for one in cache_verify.verify(places) if one.wrong]

    assert [one.wrong for one in whole] == [None] * len(whole)
    assert sum(not one.checked for one in whole) == 1
    assert [one.path for one in damaged] == [blob(cache)]


def test_a_git_blob_of_other_bytes_is_damaged(cache: Path) -> None:
    (blob(cache).parent / ("1" * 40)).write_bytes(b"x")

    assert [one.path.name for one in cache_verify.verify(locations.find(cache=cache)) if one.wrong] == ["1" * 40]


@pytest.mark.parametrize(
    ("content", "splits", "wrong"),
    [
        (b"rows" + END[:-1], {"train": {}}, "oxford-flowers-train.arrow is cut short"),
        (b"rows" + END, {"train": {}, "test": {}}, "split test is not there"),
    ],
    ids=["cut short", "a split is absent"],
)
def test_a_prepared_data_set_that_is_not_whole_is_named(
    cache: Path, content: bytes, splits: dict[str, object], wrong: str
) -> None:
    (info,) = cache.rglob("dataset_info.json")
    info.write_text(json.dumps({"splits": splits}), encoding="utf-8")
    (info.parent / "oxford-flowers-train.arrow").write_bytes(content)

    assert [one.wrong for one in cache_verify.verify(locations.find(cache=cache)) if one.wrong] == [wrong]


def test_a_damaged_file_is_exit_code_4(cache: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = invoke(cli.cli, ["cache", "verify", "--cache", str(cache), "--data", str(data)])

    said = capsys.readouterr()
    assert code == 4
    assert "VLDOCK_ACCEPT_MD5=POPE=" in said.out
    assert "1 damaged" in said.err
