"""Tracebacks in a run's folder: appended whole, secrets left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.image.training import error_log


def test_a_failure_is_appended_with_its_causes_and_raised(tmp_path: Path) -> None:
    said: list[str] = []

    def fail(number: int) -> None:
        with error_log.record_failure(tmp_path, log=said.append):
            try:
                raise OSError(f"inner {number}")
            except OSError as error:
                raise ValueError("outer") from error

    for number in (1, 2):
        with pytest.raises(ValueError, match="outer"):
            fail(number)

    kept = (tmp_path / error_log.ERRORS).read_text()
    assert [word in kept for word in ("inner 1", "inner 2", "outer", "direct cause")] == [True] * 4
    assert said[0] == f"the full traceback is in {tmp_path / error_log.ERRORS}"


def test_a_folder_that_cannot_be_written_hides_no_error(tmp_path: Path) -> None:
    said: list[str] = []

    with pytest.raises(ValueError, match="outer"), error_log.record_failure(tmp_path / "gone", log=said.append):
        raise ValueError("outer")

    assert said[0].startswith("the traceback cannot be kept: ")


@pytest.mark.parametrize(
    "text",
    ["Bearer hf_abcdefghij", "https://user:password@host/x", "sent abcdefgh-of-mine"],
    ids=["a token of the Hub", "a URL", "a value of the environment"],
)
def test_no_secret_is_kept(text: str) -> None:
    shown = error_log.without_secrets(text, {"MY_TOKEN": "abcdefgh-of-mine", "TOKENIZERS_PARALLELISM": "https://"})

    assert error_log.HIDDEN in shown
    assert not [word for word in ("abcdefghij", "password", "of-mine") if word in shown]
