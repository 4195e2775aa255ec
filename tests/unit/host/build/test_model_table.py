"""The generated table of models has what matrix.py declares."""

from __future__ import annotations

from vldock.common.matrix import MODELS
from vldock.host.build import generate, model_table


def test_each_model_has_a_row_with_its_needs() -> None:
    table = model_table.markdown_table()

    assert [line.split(" | ")[0] for line in table.splitlines()[3:]] == [f"| {model.name}" for model in MODELS]
    assert "| THUDM/cogvlm-chat-hf, lmsys/vicuna-7b-v1.5 | remote | SDPA/xformers | 35.3 | 38 | 73 |" in table


def test_the_page_holds_the_table() -> None:
    assert model_table.markdown_table() in generate.MODELS.read_text(encoding="utf-8")
