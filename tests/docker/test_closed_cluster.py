"""A bundle fetched, moved and loaded, then the matrix evaluated without a network.

Three benchmarks on one model, two samples each; VLDOCK_CLOSED=all (`make prove-closed`): all 40 cells, every sample.
"""

from __future__ import annotations

import os
import shutil

import pytest
from support.containers import closed_cluster
from support.containers.closed_cluster import BUNDLES, OFFLINE, UNKNOWN_USER, Cluster, LoadedBundle, MatrixRun, vldock
from support.tiny_weights import LLAVA

from vldock.common.matrix import matrix_benchmarks, matrix_models
from vldock.host.containers import terminal

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("closed cluster")]

MODEL = "llava_v1.5_7b"
ALL = os.environ.get("VLDOCK_CLOSED") == "all"
MODELS = tuple(model.name for model in matrix_models()) if ALL else (MODEL,)
BENCHMARKS = tuple(one.name for one in matrix_benchmarks()) if ALL else ("POPE", "OCRBench", "MMBench_DEV_EN")
CELLS = len(MODELS) * len(BENCHMARKS)
ENOUGH = 90.0
ACCEPTED = f"VLDOCK_ACCEPT_MD5={closed_cluster.accepted_md5s()}"
FOLDER, ARCHIVE = BUNDLES


@pytest.fixture(scope="module")
def cluster(image, tmp_path_factory) -> Cluster:
    """Both bundles, loaded; the host that served them has stopped."""
    root = tmp_path_factory.mktemp("closed")
    samples = "all" if ALL else "2"
    made = Cluster(root, image=image.id, models=MODELS, benchmarks=BENCHMARKS, samples=samples)
    made.transfer_bundles()
    return made


@pytest.fixture(scope="module")
def own(cluster) -> MatrixRun:
    """The matrix on the caller's own folders, the offline switches unset."""
    return cluster.matrix("own", cluster.bundles[FOLDER], env=[ACCEPTED])


@pytest.fixture(scope="module")
def shared(cluster) -> tuple[MatrixRun, bool]:
    """The matrix on a read-only store as an unknown uid, offline; and whether the store is unchanged."""
    bundle = cluster.bundles[ARCHIVE]
    before = bundle.files()
    user = UNKNOWN_USER if os.geteuid() == 0 else terminal.caller_user()
    switches = [f"{name}=1" for name in OFFLINE]
    run = cluster.matrix("shared", bundle, "--read-only-inputs", "--user", user, env=[ACCEPTED, *switches])
    return run, bundle.files() == before


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_made_and_loaded(cluster, name):
    assert cluster.fetched[name].returncode == 0, cluster.fetched[name].stderr
    assert cluster.loaded[name].returncode == 0, cluster.loaded[name].stderr
    assert "20 benchmarks, 3 repositories" in cluster.loaded[name].stdout


@pytest.mark.parametrize("kind", ["data", "weights"])
@pytest.mark.parametrize("name", BUNDLES)
def test_what_was_loaded_is_complete(cluster, name, kind):
    bundle: LoadedBundle = cluster.bundles[name]
    option = ("--data", bundle.data) if kind == "data" else ("--cache", bundle.cache)
    done = vldock("check", kind, *option, "--locks", cluster.locks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {"partial", "corrupt", "foreign", "absent"} & set(done.stdout.split())


def test_the_matrix_finishes_there(own):
    assert own.done.returncode == 0, own.done.stdout + own.done.stderr
    assert f"{CELLS}/{CELLS} cells succeeded" in own.done.stdout
    assert "STAND-IN" not in own.done.stdout
    assert len(own.cells()) == CELLS
    assert [cell.benchmark for cell in own.cells() if cell.standin or (cell.score or 0) < ENOUGH] == []


def test_a_read_only_store_and_an_unknown_uid_do(shared):
    run, untouched = shared
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert f"{CELLS}/{CELLS} cells succeeded" in run.done.stdout
    assert untouched


def test_neither_the_switches_nor_the_mounts_change_an_answer(own, shared):
    assert len(own.predictions()) == CELLS
    assert own.predictions() == shared[0].predictions()


def test_a_file_that_is_not_vlmevalkits_is_refused_with_the_line_that_accepts_it(cluster):
    single = Cluster(cluster.root, image=cluster.image, models=[MODEL], benchmarks=["POPE"], samples="1")
    run = single.matrix("strange", cluster.bundles[FOLDER])
    pope = next(entry for entry in closed_cluster.accepted_md5s().split(",") if entry.startswith("POPE="))
    assert run.done.returncode == 1
    assert f"VLDOCK_ACCEPT_MD5={pope}" in (run.cells()[0].error or "")


def test_a_shard_cut_afterwards_is_named_before_a_model_is_loaded(cluster):
    bundle = LoadedBundle(cluster.root / "cut" / "data", cluster.root / "cut" / "cache")
    shutil.copytree(cluster.bundles[ARCHIVE].data.parent, bundle.data.parent, symlinks=True)
    shard = bundle.shard(LLAVA)
    os.truncate(shard, shard.stat().st_size // 2)
    checked = vldock("check", "weights", MODEL, "--cache", bundle.cache, "--locks", cluster.locks)
    run = cluster.matrix("cut-run", bundle, "--models", MODEL, env=[ACCEPTED])
    log = "\n".join(path.read_text() for path in run.outputs.glob("*/logs/*.log"))

    assert (checked.returncode, run.done.returncode) == (4, 1)
    assert shard.name in checked.stdout
    assert len(run.cells()) == len(BENCHMARKS)
    assert all(shard.name in (cell.error or "") and "is cut" in (cell.error or "") for cell in run.cells())
    assert "Loading checkpoint shards" not in log
    assert "model_loaded" not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its outputs to another user")
@pytest.mark.parametrize(("part", "named"), [("data", "/workspace/LMUData"), ("cache", "/workspace/.cache")])
def test_a_store_that_uid_cannot_read_is_named_with_what_opens_it(cluster, part, named):
    bundle = LoadedBundle(cluster.root / f"shut-{part}" / "data", cluster.root / f"shut-{part}" / "cache")
    shutil.copytree(cluster.bundles[ARCHIVE].data.parent, bundle.data.parent, symlinks=True)
    (bundle.data if part == "data" else bundle.cache).chmod(0o700)

    run = cluster.matrix(f"shut-{part}-run", bundle, "--models", MODEL, "--user", UNKNOWN_USER, env=[ACCEPTED])

    assert run.done.returncode == 1
    assert len(run.cells()) == len(BENCHMARKS)
    for cell in run.cells():
        assert f"{named} belongs to 0:0 (mode 700) and uid 12345 cannot read it" in (cell.error or "")
        assert f"chmod -R a+rX the folder mounted at {named}" in (cell.error or "")
