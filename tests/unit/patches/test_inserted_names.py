"""Names of vldock in patches' inserted text exist and are called as defined."""

from __future__ import annotations

from collections import defaultdict

import pytest
from support import source_names

import registry


def inserted() -> dict[str, str]:
    """Return {patched file: all text inserted by patches}."""
    texts = defaultdict[str, list[str]](list)
    for patch in registry.ALL:
        for path, edits in patch.edits.items():
            texts[path] += [edit.replacement for edit in edits]
        for path, text in patch.new_files.items():
            texts[path].append(text)
    return {path: "\n".join(parts) for path, parts in texts.items()}


FILES = "vldock.image.vlmeval_hooks.files"
INSERTED = {path: text for path, text in inserted().items() if "vldock" in text}


@pytest.mark.parametrize("path", INSERTED)
def test_what_a_patch_inserts_calls_what_is_there(path: str) -> None:
    assert list(source_names.flaws(INSERTED[path])) == []


def test_imports_are_found_in_the_text_of_each_patched_file() -> None:
    assert [path for path, text in INSERTED.items() if not dict(source_names.imported(text))] == []


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (f"from {FILES} import gone", f"{FILES}.gone is not there"),
        (f"    from {FILES} import atomic\n    atomic.gone(1)", "atomic.gone is not there"),
        ("from vldock.image.vlmeval_hooks import files\nfiles.atomic(1)", "files.atomic is a module and is called"),
        (f"from {FILES} import atomic\natomic.remove_stale(f, older=1)", "takes no argument older"),
        (f"from {FILES} import atomic\natomic.remove_stale(1, 2)", "fewer arguments than 2"),
        (f'from {FILES} import atomic\nmonkeypatch.setattr(atomic, "gone", 1)', "atomic.gone is not there"),
        (f"from {FILES} import text_changes\ntext_changes.Reading(1, 2, lines=3)", "takes no argument lines"),
    ],
)
def test_a_name_that_is_not_there_is_found(text: str, flaw: str) -> None:
    assert any(flaw in found for found in source_names.flaws(text))
