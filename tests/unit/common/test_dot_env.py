""".env files: one grammar for host and container, python-dotenv's."""

from __future__ import annotations

from pathlib import Path

import pytest

from vldock.common import workspace
from vldock.common.dot_env import parse_dot_env
from vldock.host.downloads import hub_token
from vldock.image.process import env_file

LINES = {
    "plain": ("HF_TOKEN=hf_a", "hf_a"),
    "a quoted value and a comment": ('HF_TOKEN="hf_a" # mine', "hf_a"),
    "single quotes and a comment": ("HF_TOKEN='hf_a'  # mine", "hf_a"),
    "a comment": ("HF_TOKEN=hf_a # mine", "hf_a"),
    "a hash that is no comment": ("HF_TOKEN=hf#a", "hf#a"),
    "a hash in quotes": ('HF_TOKEN="hf # a"', "hf # a"),
    "export": ("export HF_TOKEN=hf_a", "hf_a"),
    "blanks": ("  HF_TOKEN =  hf_a  ", "hf_a"),
    "only a comment": ("HF_TOKEN= # none yet", ""),
    "empty": ("HF_TOKEN=", ""),
    "a quote that is not closed": ('HF_TOKEN="hf_a', '"hf_a'),
    "an apostrophe within": ("HF_TOKEN=it's", "it's"),
    "equals signs": ("HF_TOKEN=a=b==", "a=b=="),
    "an escape": ('HF_TOKEN="a\\"b\\n"', 'a"b\n'),
    "no escape in single quotes": ("HF_TOKEN='a\\nb'", "a\\nb"),
    "another variable": ("BASE=hf\nHF_TOKEN=${BASE}_a", "hf_a"),
    "a default": ("HF_TOKEN=${NOWHERE:-hf_a}", "hf_a"),
    "the last one": ("HF_TOKEN=old\nHF_TOKEN=hf_a", "hf_a"),
    "two lines in quotes": ('HF_TOKEN="a\nb"\nX=1', "a\nb"),
}
FORMS = {"as it is": (b"", b"\n"), "byte-order mark": (b"\xef\xbb\xbf", b"\n"), "Windows line ends": (b"", b"\r\n")}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("line", "value"), LINES.values(), ids=LINES)
def test_host_and_container_read_alike(line: str, value: str, form: tuple[bytes, bytes], tmp_path: Path) -> None:
    mark, end = form
    (tmp_path / ".env").write_bytes(mark + line.encode().replace(b"\n", end) + end)
    inside: dict[str, str] = {}

    env_file.load([tmp_path / ".env"], inside)

    assert hub_token.find_token(tmp_path / ".env", {}) == (value or None)
    assert inside.get("HF_TOKEN") == (value or None)


def test_what_is_no_variable_is_left_out() -> None:
    assert parse_dot_env(b"# A=1\nB\n=2\n1C=3\n'D'\nE=5", {}) == {"E": "5"}


def test_no_value_is_in_the_refusal_of_a_file_that_is_not_utf8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_bytes(b"HF_TOKEN=hf_secret\xff")

    env_file.load([tmp_path / ".env"], {})
    with pytest.raises(Exception, match="not UTF-8 text") as refused:
        hub_token.find_token(tmp_path / ".env", {})

    assert "hf_secret" not in capsys.readouterr().err + str(refused.value) + str(refused.value.__context__)


def test_the_paths_of_a_workspace_do_not_count_where_its_env_file_is_mounted(tmp_path: Path) -> None:
    made = workspace.make(tmp_path)
    content = b"HF_TOKEN=a\n" + made.env_file.read_bytes() + b"OPENAI_API_KEY=b\n"

    assert parse_dot_env(content, {}) == {"HF_TOKEN": "a", "OPENAI_API_KEY": "b"}
