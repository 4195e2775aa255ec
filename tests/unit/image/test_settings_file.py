"""The settings loader: YAML and words into dataclasses; what is none of them is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vldock.common.errors import UsageError
from vldock.image import settings_file
from vldock.image.settings_file import SettingsFile


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    steps: int = 3
    on: bool = False
    kinds: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Outer:
    out: str = "here"
    inner: Inner = field(default_factory=Inner)
    other: Inner = field(default_factory=Inner)


FILE = SettingsFile(Outer, example="inner.steps=3", hint="see the manual")


def test_without_a_file_every_setting_has_its_default() -> None:
    assert FILE.read(None) == Outer()


def test_words_go_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("out: there\ninner: {steps: 4, kinds: b}\n")

    made = FILE.read(tmp_path / "c.yaml", ["inner.steps=5", "other.on=true", "inner.rate=1e-3"])

    assert made == Outer("there", Inner(0.001, 5, kinds=("b",)), Inner(on=True))


def test_written_settings_read_back(tmp_path: Path) -> None:
    made = Outer("x", Inner(2.0, kinds=("a", "b")))
    (tmp_path / "c.yaml").write_text(settings_file.to_yaml(made))

    assert FILE.read(tmp_path / "c.yaml") == made


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("inner.step=3", "unknown setting inner.step", "did you mean inner.steps?"),
        ("qqqq=3", "unknown setting qqqq", "see the manual"),
        ("inner.steps=1.5", "inner.steps is 1.5", None),
        ("inner.steps=true", "inner.steps is True", None),
        ("inner.rate=fast", "inner.rate is 'fast'", None),
        ("inner.rate=true", "inner.rate is True", None),
        ("inner=3", "inner is 3", None),
        ("out", "out: no =", None),
    ],
)
def test_a_word_that_is_no_setting_is_refused_by_name(word: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        FILE.read(None, [word])

    assert (refused.value.message, refused.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out=x", "out.deep=3"], "out is no section"),
        (["out.deep=3"], "out is {'deep': 3}"),
        (["inner=3"], "a section: `inner: {steps: 3}`"),
        (["inner.steps=[1"], "KEY=VALUE, such as inner.steps=3"),
    ],
    ids=["a value", "a value of the defaults", "a section", "no YAML"],
)
def test_a_refusal_names_what_is_expected(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        FILE.read(None, words)

    assert said in refused.value.render()


@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read"), ("a: [", "cannot be read"), ("[1]", "holds a list")]
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)

    with pytest.raises(UsageError, match=said):
        FILE.read(tmp_path / "c.yaml")
