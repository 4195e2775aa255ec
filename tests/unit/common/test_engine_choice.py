"""--engine and --batch-size: valid values in the image and on the host, and their record."""

from __future__ import annotations

import argparse
from typing import Any

import click
import pytest
from click.testing import CliRunner

from vldock.common import inference_options
from vldock.common.errors import UsageError
from vldock.common.inference_options import Engine
from vldock.host.cli.main import invoke
from vldock.host.cli.matrix import command as matrix_cli
from vldock.host.cli.matrix import options as matrix_options
from vldock.image.answering import options


def resolved(env: dict[str, str], *argv: str) -> str:
    parser = argparse.ArgumentParser()
    options.add(parser)
    return options.resolve(parser.parse_args(list(argv)), env).describe()


@pytest.mark.parametrize(
    ("env", "argv", "word"),
    [
        ({}, (), "stock"),
        ({}, ("--engine", "batched"), "batched/auto"),
        ({}, ("--engine", "batched", "--batch-size", "16"), "batched/16"),
        ({"VLDOCK_ENGINE": "batched", "VLDOCK_BATCH_SIZE": "4"}, (), "batched/4"),
        ({"VLDOCK_ENGINE": "batched", "VLDOCK_BATCH_SIZE": "4"}, ("--batch-size", "2"), "batched/2"),
        ({"VLDOCK_ENGINE": "batched", "VLDOCK_BATCH_SIZE": "4"}, ("--engine", "stock"), "stock"),
    ],
)
def test_an_argument_beats_the_variable_and_both_have_a_default(
    env: dict[str, str], argv: tuple[str, ...], word: str
) -> None:
    assert resolved(env, *argv) == word
    assert options.describe(env) == word
    assert resolved(env) == word


def test_no_worker_is_passed_on_in_the_environment() -> None:
    env: dict[str, str] = {}

    resolved(env, "--no-worker")

    assert env["VLDOCK_WORKER"] == "0"


@pytest.mark.parametrize("size", ["0", "-1", "many", "1.5"])
def test_a_batch_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(UsageError, match="batch size"):
        inference_options.choose("batched", size)


def test_a_batch_size_for_the_stock_loop_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError) as caught:
        resolved({}, "--batch-size", "8")

    assert caught.value.hint is not None
    assert "--engine batched" in caught.value.hint


def test_a_batch_size_in_the_environment_alone_is_told_before_anything_runs() -> None:
    env = {"VLDOCK_BATCH_SIZE": "8"}

    with pytest.raises(UsageError):
        resolved(env)

    assert options.describe(env) == "stock"


def test_an_engine_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="vllm"):
        inference_options.read_engine({"VLDOCK_ENGINE": "vllm"})


def test_the_stock_loop_has_no_batch() -> None:
    assert inference_options.read_engine({}) == Engine("stock", None)


@pytest.mark.parametrize(
    ("env", "argv", "cached"),
    [
        ({}, ("--engine", "batched"), False),
        ({}, ("--engine", "batched", "--feature-cache"), True),
        ({"VLDOCK_FEATURE_CACHE": "1"}, ("--engine", "batched"), True),
        ({"VLDOCK_FEATURE_CACHE": "1"}, ("--engine", "batched", "--no-feature-cache"), False),
        ({"VLDOCK_FEATURE_CACHE": "1"}, (), False),
    ],
)
def test_the_feature_cache_is_off_unless_a_batched_run_asks_for_it_and_is_no_identity(
    env: dict[str, str], argv: tuple[str, ...], cached: bool
) -> None:
    word = resolved(env, *argv)

    assert inference_options.read_engine(env).feature_cache is cached
    assert "cache" not in word
    assert inference_options.read_feature_cache(env) is cached


def test_the_feature_cache_for_the_stock_loop_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError) as caught:
        resolved({}, "--feature-cache")

    assert caught.value.hint is not None
    assert "--engine batched" in caught.value.hint


@pytest.mark.parametrize("text", ["0", "-3", "much", "nan"])
def test_a_limit_that_is_none_is_told_before_anything_runs(text: str) -> None:
    with pytest.raises(UsageError, match="VLDOCK_FEATURE_CACHE_LIMIT"):
        resolved({"VLDOCK_FEATURE_CACHE_LIMIT": text}, "--engine", "batched", "--feature-cache")


def test_a_limit_is_in_gigabytes() -> None:
    assert inference_options.read_cache_limit({"VLDOCK_FEATURE_CACHE_LIMIT": "1.5"}) == 1_500_000_000
    assert inference_options.read_cache_limit({}) is None


@pytest.mark.parametrize(
    ("env", "argv", "cached"),
    [
        ({}, ("--engine", "batched", "--feature-cache"), True),
        ({"VLDOCK_FEATURE_CACHE": "1"}, ("--engine", "batched"), True),
        ({"VLDOCK_FEATURE_CACHE": "1"}, ("--engine", "batched", "--no-feature-cache"), False),
        ({"VLDOCK_FEATURE_CACHE": "1"}, (), False),
        ({"VLDOCK_FEATURE_CACHE": "0"}, ("--engine", "batched"), False),
    ],
)
def test_the_matrix_command_reads_the_same_words(env: dict[str, str], argv: tuple[str, ...], cached: bool) -> None:
    seen: list[inference_options.Engine] = []

    @click.command()
    @matrix_options.matrix_options
    @click.pass_context
    def command(ctx: click.Context, /, **given: Any) -> None:
        seen.append(matrix_options.choose_engine(ctx, given))

    done = CliRunner().invoke(command, argv, env=env)

    assert done.exit_code == 0, done.output
    assert seen[0].feature_cache is cached


def test_the_matrix_command_refuses_the_feature_cache_for_the_stock_loop() -> None:
    assert invoke(matrix_cli.matrix_command, ["--feature-cache", "--dry-run"]) == 2


@pytest.mark.parametrize(("text", "attention"), [("", "eager"), ("eager", "eager"), (" SDPA ", "sdpa")])
def test_the_tower_s_attention_is_transformers_own_unless_sdpa_is_asked_for(text: str, attention: str) -> None:
    assert inference_options.read_tower_attention({"VLDOCK_TOWER_ATTENTION": text}) == attention


def test_another_attention_of_the_tower_is_refused() -> None:
    with pytest.raises(UsageError, match="VLDOCK_TOWER_ATTENTION=flash"):
        inference_options.read_tower_attention({"VLDOCK_TOWER_ATTENTION": "flash"})
