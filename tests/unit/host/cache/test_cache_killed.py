"""Two processes fill one cache and one is killed: the cache is whole.

What is left over is found.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import wait_until
from support.loopback_hub import COMMIT, LoopbackHub, serving

from vldock.host.cache import locations
from vldock.host.cache import problems as cache_problems
from vldock.host.cache import prune as cache_prune
from vldock.host.cache import verify as cache_verify
from vldock.host.util.console import silent

CONTENT = os.urandom(1 << 20) * 24  # the Hub library writes 10 MB at a time: half of it is on the disk when it pauses
DOWNLOAD = "from huggingface_hub import hf_hub_download as get; print(get('org/model', 'model.safetensors'))"


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with serving(CONTENT, pause_at=len(CONTENT) // 2) as server:
        yield server


def download(server: LoopbackHub, cache: Path) -> subprocess.Popen[str]:
    environ = {
        "PATH": os.environ["PATH"], "HF_ENDPOINT": server.url, "HF_HOME": str(cache), "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "300", "HF_HUB_ETAG_TIMEOUT": "300",  # else the paused one is asked for again
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", DOWNLOAD], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_bytes(places: locations.CacheLocations) -> None:
    """Wait until half the file is on the disk.

    The server pauses before its client has read all it was sent.
    """
    wait_until.until(lambda: any(flaw.size for flaw in cache_problems.find(places)))


def test_one_killed_midway_leaves_the_other_a_whole_file_and_only_a_leftover(hub: LoopbackHub, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = download(hub, cache)
    assert hub.paused.wait(wait_until.SECONDS), "the first download did not begin"
    places = locations.find(cache=cache)
    (partial,) = [flaw for flaw in cache_problems.find(places) if flaw.kind == "partial"]
    second = download(hub, cache)
    time.sleep(0.3)  # it waits for the lock, or is still starting: both are right

    first.kill()
    first.communicate()
    said, errors = second.communicate(timeout=wait_until.SECONDS)

    assert second.returncode == 0, errors
    assert partial.in_use
    assert Path(said.strip()).read_bytes() == CONTENT
    assert f"/snapshots/{COMMIT}/" in said
    assert [one.wrong for one in cache_verify.verify(places)] == [None]
    assert [(flaw.kind, flaw.in_use) for flaw in cache_problems.find(places)] == [("partial", False)]


def test_what_a_killed_download_left_goes_after_an_hour_and_never_while_it_is_written(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    process = download(hub, cache)
    assert hub.paused.wait(wait_until.SECONDS), "the download did not begin"
    places, tomorrow = locations.find(cache=cache), time.time() + 24 * cache_prune.HOUR
    wait_for_bytes(places)

    during = cache_prune.plan(places, cache_prune.PruneRequest(), now=tomorrow)
    process.kill()
    process.communicate()
    soon = cache_prune.plan(places, cache_prune.PruneRequest())
    later = cache_prune.plan(places, cache_prune.PruneRequest(), now=tomorrow)
    freed = cache_prune.execute(later, log=silent)

    assert (during.flaws, soon.flaws) == ((), ())
    assert "being written now" in during.lines()[0]
    assert [flaw.kind for flaw in later.flaws] == ["partial"]
    assert freed == later.size > 0
    assert cache_problems.find(places) == []
