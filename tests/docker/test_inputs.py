"""User inputs to run.py in a container: a .env file, a benchmark edition."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from vldock.host.reports.thumbnails import STANDIN_DATA

RUN = ("python", "/workspace/VLMEvalKit/run.py", "--model", "llava_v1.5_7b", "--data")
CORRECTED = "d5e8af148b10ac69f535ff7b23f3f989"


@pytest.mark.parametrize("place", ["/workspace/VLMEvalKit/.env", "/workspace/.env"])
def test_an_env_file_with_a_mark_quotes_and_a_comment_is_read(run_in_image, tmp_path: Path, place: str):
    (tmp_path / "env").write_bytes(b'\xef\xbb\xbfVLMEVAL_SAMPLE_LIMIT="2" # mine\r\n')

    done = run_in_image([*RUN, "POPE"], environment={"VLDOCK_STANDIN": "1"}, mounts={tmp_path / "env": place})

    assert done.exit_code == 0, done.text
    assert "(2 samples" in done.text


def test_another_edition_is_refused_until_it_is_asked_for(run_in_image, tmp_path: Path):
    shutil.copy(STANDIN_DATA / "BLINK.tsv", tmp_path)
    tmp_path.chmod(0o777)
    seen = hashlib.md5((tmp_path / "BLINK.tsv").read_bytes(), usedforsecurity=False).hexdigest()

    by_default = run_in_image([*RUN, "BLINK"], mounts={tmp_path: "/workspace/LMUData"})
    corrected = run_in_image(
        [*RUN, "BLINK"], mounts={tmp_path: "/workspace/LMUData"}, environment={"VLDOCK_EDITION": "BLINK=corrected"}
    )

    assert f"VLDOCK_ACCEPT_MD5=BLINK={seen}" in by_default.text
    assert (CORRECTED in by_default.text, CORRECTED in corrected.text) == (False, True)
    assert by_default.exit_code == corrected.exit_code != 0
