"""Parts of a fetch: tokens, worker threads, files worth having, the display."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.host.downloads import hub_token
from vldock.host.downloads import names as fetch_names
from vldock.host.downloads import progress as fetch_progress
from vldock.host.downloads.execute import common_exit_code
from vldock.host.downloads.hub_listing import worth_having
from vldock.host.downloads.locked_files import HubFile, LockedRepo, WeightsLock
from vldock.host.downloads.partial_file import Checksums, ExpectedFile
from vldock.host.downloads.request import FetchedFile, FileRequest
from vldock.host.errors import DownloadDenied, HostFailed, NotThere
from vldock.host.util.worker_threads import WorkResult, run_all

LOCK = WeightsLock(
    "http://h", tuple(LockedRepo(repo) for repo in ("liuhaotian/llava-v1.5-7b", fetch_names.matrix.CLIP))
)


@pytest.mark.parametrize(
    ("line", "token"),
    [
        ("HF_TOKEN=a", "a"),
        ("export HUGGING_FACE_HUB_TOKEN = 'a b'", "a b"),
        ('HF_TOKEN="a"', "a"),
        ("HF_TOKEN=a # mine", "a"),
        ("HUGGINGFACE_TOKEN=a", "a"),
        ("HUGGINGFACEHUB_API_TOKEN=a", "a"),
        ("HF_TOKEN=", None),
        ("# HF_TOKEN=a", None),
        ("OTHER=a", None),
    ],
)
def test_a_token_is_read_from_a_file(tmp_path: Path, line: str, token: str | None) -> None:
    (tmp_path / "env").write_text(f"{line}\n")

    assert hub_token.find_token(tmp_path / "env", {}) == token


def test_the_file_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_token.find_token(None, {"HF_TOKEN": "theirs"}) == "theirs"
    (tmp_path / ".env").write_text("HUGGING_FACE_HUB_TOKEN=mine")

    assert hub_token.find_token(None, {"HF_TOKEN": "theirs"}) == "mine"


def test_a_file_that_is_named_and_not_there_is_a_wrong_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        hub_token.find_token(tmp_path / "env", {})


def test_a_file_that_is_no_text_is_refused_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"HF_TOKEN=secret\xff")

    with pytest.raises(InputRefused, match="not UTF-8 text") as caught:
        hub_token.find_token(tmp_path / "env", {})
    assert "secret" not in caught.value.render()


def test_the_pool_keeps_the_order_and_goes_on_past_a_failure() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise EnvironmentUnfit("one")
        return number * 10

    ends = run_all([0, 1, 2], work, jobs=2, stop=threading.Event())

    assert [(end.result, end.error and end.error.message) for end in ends] == [(0, None), (None, "one"), (20, None)]


def test_the_pool_ends_at_once_for_what_nobody_foresaw() -> None:
    stop = threading.Event()

    with pytest.raises(ZeroDivisionError):
        run_all([0, 1], lambda number: 1 // number, jobs=1, stop=stop)
    assert stop.is_set()


def test_an_exit_code_is_the_failures_common_one() -> None:
    assert common_exit_code([]) == 0
    assert common_exit_code([NotThere("a"), NotThere("b")]) == 41
    assert common_exit_code([DownloadDenied("a"), HostFailed("b")]) == 1


def listed(*paths: str) -> list[HubFile]:
    return [HubFile(path, 1, None, "0" * 40, lfs=False) for path in paths]


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        (("config.json", "model.safetensors", "pytorch_model.bin"), ["config.json", "model.safetensors"]),
        (("pytorch_model-00001-of-00002.bin", "mm_projector.bin"), None),
        (("config.json", "flax_model.msgpack", "tf_model.h5", ".gitattributes", "a.png"), ["config.json"]),
        (("adapter.safetensors", "pytorch_model.bin"), None),
        (("modeling_x.py", "tokenizer.model", "README.md"), None),
    ],
    ids=["safetensors first", "torch only", "other frameworks", "another safetensors", "code and tokenizer"],
)
def test_what_the_image_can_load_is_fetched(paths: tuple[str, ...], kept: list[str] | None) -> None:
    assert [item.path for item in worth_having(listed(*paths), only=None)] == (kept or list(paths))


def test_of_a_tokenizers_repository_its_weights_are_left() -> None:
    files = listed("tokenizer.model", "config.json", "pytorch_model-00001-of-00002.bin")

    found = worth_having(files, only=("tokenizer*", "config.json"))

    assert [item.path for item in found] == ["tokenizer.model", "config.json"]


@pytest.mark.parametrize("names", [(), ("llava_v1.5_7b",), ("liuhaotian/llava-v1.5-7b", fetch_names.matrix.CLIP)])
def test_a_model_brings_its_tower(names: tuple[str, ...]) -> None:
    lock = WeightsLock("http://h", (*LOCK.repositories, LockedRepo("liuhaotian/llava-v1.5-13b")))

    repos = [item.repo for item in fetch_names.choose_repos(names, lock)]

    assert repos[:2] == ["liuhaotian/llava-v1.5-7b", fetch_names.matrix.CLIP]
    assert len(repos) == len(set(repos))


def test_a_terminal_shows_bars_and_a_line_for_each_end(tmp_path: Path) -> None:
    item = FileRequest(
        "org/name/model[1].safetensors", "org/name", "http://h/a", tmp_path / "a", ExpectedFile(size=4, git="0")
    )
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)

    with fetch_progress.open_display(screen, total=2) as show:
        show.on_progress(item, 2, 4)
        show.on_end(WorkResult(item, FetchedFile(item, "downloaded", 4, Checksums(4, "0", git="0"))))
        show.on_end(WorkResult(item, error=NotThere("gone")))

    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "model[1].safetensors" in text
    assert "FAILED" in text
