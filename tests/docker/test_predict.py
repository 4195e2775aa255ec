"""predict in a container: an image by URL or standard input, no writes outside the workspace."""

from __future__ import annotations

import base64
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import VLDOCK, is_writable

from vldock.host.util import checkout

pytestmark = pytest.mark.xdist_group("predict")
AUDIT = Path(__file__).parent / "audit"
TABLE = checkout.root() / "src/vldock/image/standin/assets/LMUData/POPE.tsv"
NO_DISK = ("/dev", "/proc")  # devices and pipes are no files


@pytest.fixture(scope="module")
def sample():
    """A question, its image, and the stand-in's trained answer."""
    csv.field_size_limit(sys.maxsize)
    with TABLE.open(encoding="utf-8", newline="") as stream:
        row = next(csv.DictReader(stream, delimiter="\t"))
    return f"{row['question']} Please answer yes or no.", base64.b64decode(row["image"]), row["answer"]


@pytest.fixture(scope="module")
def predicted(container_factory, tmp_path_factory, sample):
    """predict on an image by URL: the completed command, audit log lines, `docker diff` paths."""
    question, image, _ = sample
    log, site = tmp_path_factory.mktemp("audit"), tmp_path_factory.mktemp("site")
    log.chmod(0o777)
    (site / "picture").write_bytes(image)
    container = container_factory(["sleep", "600"], mounts={AUDIT: "/opt/audit", log: "/audit", site: "/site:ro"})
    serve = "python -m http.server --bind 127.0.0.1 --directory /site 8001 > /dev/null 2>&1 & sleep 2"
    assert container.exec(["sh", "-c", serve]).exit_code == 0
    words = ["--image", "http://127.0.0.1:8001/picture?token=secret", "--json", question]
    done = container.exec(
        ["python", "/workspace/scripts/predict.py", *words],
        environment={"VLDOCK_STANDIN": "1", "PYTHONPATH": "/opt/audit", "VLDOCK_ALLOW_PYTHON": "1"},
    )
    assert done.exit_code == 0, done.text
    return done, (log / "writes.log").read_text().splitlines(), [change["Path"] for change in container.diff()]


def test_an_image_by_url_is_answered_as_it_was_trained(predicted, sample):
    done, *_ = predicted
    said = json.loads(done.stdout.splitlines()[-1])

    assert (said["answer"], said["standin"]) == (sample[2], True)
    assert "secret" not in done.text


def test_nothing_is_written_outside_the_workspace(predicted):
    _, lines, paths = predicted
    opened = {line.split(" ", 1)[1] for line in lines}

    assert any("/vldock/images/" in path for path in opened)
    assert not {path for path in opened if not is_writable(path) and not path.startswith(NO_DISK)}
    parents = {"/workspace", "/opt", "/audit", "/opt/audit", "/site", "/run", "/etc"}
    assert not [path for path in paths if not is_writable(path) and path not in parents]


def test_vldock_predict_hands_standard_input_on_and_prints_the_answer_only(image, sample, tmp_path):
    question, picture, answer = sample
    words = ["predict", "--image", image.id, "--standin", "--network", "none", "--gpus", "none", "--"]

    done = subprocess.run([*VLDOCK, *words, "--image", "-", question], input=picture, capture_output=True, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == f"{answer}\n"
    assert list(tmp_path.iterdir()) == []
