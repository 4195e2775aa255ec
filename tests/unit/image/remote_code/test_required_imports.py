"""Packages of remote code: those for flash-attention are optional, the others are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.image.remote_code import required_imports

GUARDED = "import os\nif is_flash_attn_2_available():\n    from flash_attn import f\n    import other\n"


def every_import(path: Path) -> list[str]:
    """Return what transformers 4.37.2 finds without try/except."""
    return re.findall(r"^\s*(?:import|from)\s+(\w+)", path.read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (GUARDED, ["os"]),
        (GUARDED + "else:\n    import slow\n", ["os", "slow"]),
        (GUARDED + "import other\n", ["os", "other", "other"]),
        ("if utils.is_flash_attn_available() and fast:\n    import flash_attn\n", []),
        ("try:\n    import flash_attn\nexcept ImportError:\n    pass\n" + GUARDED, ["os"]),
        ("if not is_flash_attn_2_available():\n    import slow\n", ["slow"]),
        ("if is_flash_attn_2_available() or True:\n    import flash_attn\n", ["flash_attn"]),
        ("if is_torch_available():\n    import torch\n", ["torch"]),
        ("def broken(:\n    import x\n", ["x"]),
    ],
)
def test_imports_for_flash_attention_are_not_required(tmp_path: Path, code: str, names: list[str]) -> None:
    path = tmp_path / "modeling.py"
    path.write_text(code)

    assert required_imports.required_imports(path, every_import) == names


def test_a_package_that_is_absent_or_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise ImportError('needs libxyz.so')")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(EnvironmentUnfit) as refused:
        required_imports.check_imports(tmp_path / "modeling.py", ["json", "no_such_package", "broken_package"])

    assert "no_such_package (not in this image)" in refused.value.message
    assert "broken_package (fails: needs libxyz.so)" in refused.value.message
    assert "json" not in refused.value.message
