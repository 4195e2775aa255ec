"""run.py as a user types it: scores on the stand-ins, and one clear line for each error."""

from __future__ import annotations

import re
import shutil

import pytest

from vldock.common import hub_cache_layout, passport
from vldock.host.cli.main import cli, invoke
from vldock.host.reports import thumbnails
from vldock.image.standin import ASSETS

RUN = ["python", "/workspace/VLMEvalKit/run.py"]
POPE = [*RUN, "--data", "POPE", "--model", "llava_v1.5_7b"]
MINE = [*RUN, "--data", "MyTable", "--model", "llava_v1.5_7b"]
IMAGE = ["python", "-m", "vldock.image"]
PICTURE = thumbnails.read_pictures(thumbnails.STANDIN_DATA / "BLINK.tsv", ["0"])["0"][0]
STANDIN = {"VLDOCK_STANDIN": "1", "VLMEVAL_SAMPLE_LIMIT": "3"}


def test_three_samples_of_pope_are_predicted_scored_and_marked(run_in_image):
    done = run_in_image(POPE, environment=STANDIN)
    assert done.exit_code == 0, done.text
    assert "SCORE llava_v1.5_7b x POPE" in done.text
    assert "STAND-IN" in done.text
    assert "3" in done.text


def test_a_docker_exec_evaluates_like_a_docker_run(start_container):
    container = start_container(["sleep", "600"])
    done = container.exec(POPE, environment=STANDIN)
    assert done.exit_code == 0, done.text
    assert "SCORE llava_v1.5_7b x POPE" in done.text


def test_a_passport_names_the_image_that_docker_did_not_name(run_in_image, tmp_path):
    done = run_in_image(POPE, environment=STANDIN, mounts={tmp_path: "/workspace/outputs"})
    assert done.exit_code == 0, done.text
    (path,) = passport.find(tmp_path)
    named = passport.load(path)["image"]
    assert named["id_source"] == "build"
    assert named["id"] == named["build_digest"]
    assert re.fullmatch(r"[0-9a-f]{64}", named["id"])


@pytest.fixture
def my_table(tmp_path):
    """A folder with a one-row table of a benchmark unknown to VLMEvalKit."""
    table = f"index\timage\tquestion\tA\tB\tanswer\n1\t{PICTURE}\tWhat is it?\ta cat\ta dog\tA\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "MyTable.tsv").write_text(table, encoding="utf-8")
    return tmp_path / "data"


def test_stand_in_weights_are_asked_a_table_of_the_users(run_in_image, my_table):
    environment = {"VLDOCK_STANDIN": "weights"}
    done = run_in_image(MINE, environment=environment, mounts={my_table: "/workspace/LMUData"})
    assert done.exit_code == 0, done.text
    assert "SCORE llava_v1.5_7b x MyTable" in done.text
    assert "(1 samples" in done.text
    assert "[STAND-IN]" in done.text


def test_a_reference_written_by_hand_is_named_and_mended(run_in_image, my_table, tmp_path):
    shutil.copytree(ASSETS / "huggingface", tmp_path / "cache" / "huggingface", symlinks=True)
    reference = (
        hub_cache_layout.folder(tmp_path / "cache" / "huggingface", "liuhaotian/llava-v1.5-7b") / "refs" / "main"
    )
    reference.write_text(reference.read_text() + "\n")
    mounts = {my_table: "/workspace/LMUData", tmp_path / "cache": "/workspace/.cache"}

    refused = run_in_image(MINE, environment={"HF_HUB_OFFLINE": "1"}, mounts=mounts)
    assert refused.exit_code == 1, refused.text
    assert "vldock cache verify --repair --cache FOLDER" in refused.text

    assert invoke(cli, ["cache", "verify", "--repair", "--cache", str(tmp_path / "cache")]) == 0
    done = run_in_image(MINE, environment={"HF_HUB_OFFLINE": "1"}, mounts=mounts)
    assert done.exit_code == 0, done.text


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param([*RUN, "--data", "POPE", "--model", "InternVL2-1B"], id="run.py"),
        pytest.param(
            [
                *IMAGE,
                "predict",
                "--model",
                "OpenGVLab/InternVL2-1B",
                "--image",
                f"data:image/png;base64,{PICTURE}",
                "Who?",
            ],
            id="predict",
        ),
        pytest.param([*IMAGE, "session", "serve", "--model", "InternVL2-1B"], id="session"),
    ],
)
def test_a_model_without_a_stand_in_says_so_in_one_line(run_in_image, argv):
    done = run_in_image(argv, environment=STANDIN)
    assert done.exit_code == 2, done.text
    (line,) = [line for line in done.text.splitlines() if line.startswith("error:")]
    assert line.startswith("error: no stand-in exists for ")
    assert "only for llava_v1.5_7b, " in line


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param([*RUN, "--data", "POPE", "--model", "llava_v1.5_7b", "cogvlm-chat"], id="run.py"),
        pytest.param(
            [*IMAGE, "evaluate", "--data", "POPE", "--model", "cogvlm-chat", "--out", "/tmp/o"], id="evaluate"
        ),
        pytest.param(
            [*IMAGE, "predict", "--model", "cogvlm-chat", "--image", f"data:image/png;base64,{PICTURE}", "Who?"],
            id="predict",
        ),
    ],
)
def test_weights_beyond_the_memory_are_refused_before_anything_is_loaded(run_in_image, tmp_path, argv):
    place = hub_cache_layout.folder(tmp_path / "huggingface", "THUDM/cogvlm-chat-hf")
    for folder in ("refs", "blobs", f"snapshots/{'c' * 40}"):
        (place / folder).mkdir(parents=True)
    (place / "refs/main").write_text("c" * 40)
    with (place / "blobs" / ("a" * 64)).open("wb") as blob:
        blob.truncate(35_300_000_000)  # sparse
    done = run_in_image(argv, mounts={tmp_path: "/workspace/.cache"}, memory=8_000_000_000)
    assert done.exit_code == 3, done.text
    assert "error: cogvlm-chat cannot run on a CPU here: its weights are 71 GB in float32" in done.text
    assert "VLDOCK_STANDIN=1 for its stand-in" in done.text


@pytest.mark.parametrize(
    ("argv", "exit_code", "says"),
    [
        pytest.param([*RUN, "--data", "POPE", "--model", "llava_v1.5_8b"], 2, "llava_v1.5_7b", id="unknown model"),
        pytest.param([*RUN, "--data", "POPPE", "--model", "llava_v1.5_7b"], 2, "POPE", id="unknown benchmark"),
        pytest.param(POPE, 1, "POPE.tsv", id="no TSV and no network"),
        pytest.param([*POPE, "--limit", "many"], 2, "--limit", id="limit that is no number"),
    ],
)
def test_what_cannot_run_is_said_in_one_line(run_in_image, argv, exit_code, says):
    done = run_in_image(argv)
    assert done.exit_code == exit_code, done.text
    assert says in done.text
    assert "Traceback" not in done.text


def test_a_sample_limit_that_is_no_number_is_refused(run_in_image):
    done = run_in_image(POPE, environment={"VLDOCK_STANDIN": "1", "VLMEVAL_SAMPLE_LIMIT": "ten"})
    assert done.exit_code == 2, done.text
    assert "ten" in done.text


def test_a_failed_evaluation_exits_one_with_its_cause(run_in_image):
    broken = "sed -i 's/^def POPE_rating.*/&\\n    raise RuntimeError(\"rating is broken\")/' "
    broken += "/workspace/VLMEvalKit/vlmeval/dataset/utils/yorn.py && exec " + " ".join(POPE)
    done = run_in_image(["bash", "-c", broken], environment=STANDIN)
    assert done.exit_code == 1, done.text
    assert "FAILED llava_v1.5_7b x POPE" in done.text
    assert "rating is broken" in done.text
    assert "Traceback" not in done.text


def test_import_llava_shows_the_real_cause_of_a_broken_torch(run_in_image):
    script = (
        "mkdir -p /tmp/broken/torch && echo 'raise ImportError(\"libcudnn.so.8: cannot open shared object file\")'"
        " > /tmp/broken/torch/__init__.py && PYTHONPATH=/tmp/broken python -c 'import llava'"
    )
    done = run_in_image(["bash", "-c", script])
    assert done.exit_code != 0
    assert "libcudnn.so.8: cannot open shared object file" in done.text


def test_a_changed_builder_is_refused_by_the_patch(run_in_image):
    script = (
        "cp -r /workspace/LLaVA /tmp/LLaVA && echo '# edited' >> /tmp/LLaVA/llava/model/builder.py &&"
        " python /opt/vldock/patches/patch_llava_builder.py --root /tmp/LLaVA"
    )
    done = run_in_image(["bash", "-c", script])
    assert done.exit_code == 4, done.text
    assert "builder.py" in done.text
    assert "1.2.2.post1" in done.text


def predictions_digest(run_in_image, folder, **environment):
    """Return the digest of an evaluation's predictions, from its passport."""
    folder.mkdir()
    done = run_in_image(POPE, environment=STANDIN | environment, mounts={folder: "/workspace/outputs"})
    assert done.exit_code == 0, done.text
    (path,) = passport.find(folder)
    return passport.load(path)["outcome"]["predictions_sha256"]


def test_the_offline_switches_change_no_answer(run_in_image, tmp_path):
    switches = dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1")
    assert predictions_digest(run_in_image, tmp_path / "unset") == predictions_digest(
        run_in_image, tmp_path / "set", **switches
    )
