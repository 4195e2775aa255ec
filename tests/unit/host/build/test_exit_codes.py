"""The generated table of exit codes names every error of the host that ends a command."""

from __future__ import annotations

from vldock.common.errors import InputRefused
from vldock.host import errors
from vldock.host.build import exit_codes, generate


def test_the_table_has_each_error_with_its_code_and_meaning() -> None:
    table = exit_codes.markdown_table()

    assert "| 20 | `ReceiptUnreadable` | There is no receipt, or the file is not one |" in table
    assert f"| {InputRefused.exit_code} | `WrongBytes` |" in table


def test_codes_rise_and_the_class_that_only_groups_is_left_out() -> None:
    rows = [line.split("|") for line in exit_codes.markdown_table().splitlines() if "`" in line]

    codes = [int(row[1]) for row in rows]
    assert codes == sorted(codes)
    assert f"`{errors.Refusal.__name__}`" not in {row[2].strip() for row in rows}


def test_the_page_holds_what_the_classes_declare() -> None:
    assert [path.name for path, new, _ in generate.render_all() if path.read_text(encoding="utf-8") != new] == []
