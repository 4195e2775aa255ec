"""Passports hold everything behind a score; a change is named, and old predictions unused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tiny_model import MODEL, Bench, write_pope

from vldock.common import passport
from vldock.image.vlmeval_hooks.provenance import prompts
from vldock.image.weights import file_hashes, model_files

pytest_plugins = ["bench_fixture"]
LIMIT = ("--limit", "2")


def of(bench: Bench) -> dict[str, Any]:
    """Return the passport of the last run."""
    return passport.load(bench.out / f"{MODEL}_POPE_passport.json")


def words(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {one.word for one in passport.differences(before, after)}


def set_aside(done: CompletedProcess[str]) -> str:
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith("SET ASIDE "))


def test_a_passport_tells_what_was_sent_and_what_it_was_sent_to(bench: Bench) -> None:
    done = bench.run(*LIMIT)
    found = of(bench)

    assert done.returncode == 0, done.stderr
    assert found["prompts"]["samples"].keys() == {"0", "1"}
    assert all(None not in sample for sample in found["prompts"]["samples"].values())
    assert found["data"]["limit"] == found["data"]["rows"] == 2
    assert found["generation"]["arguments"]["do_sample"] is False
    assert found["hardware"]["model"]["attention"] == "sdpa"
    assert found["weights"]["revision"]
    assert all(len(digest) == 64 for digest in found["weights"]["files"].values())
    assert found["vision_tower"]["repo"] == "openai/clip-vit-large-patch14-336"


def test_the_same_run_twice_has_the_same_passport(bench: Bench) -> None:
    bench.run(*LIMIT)
    first = of(bench)
    bench.run(*LIMIT)
    assert passport.differences(first, of(bench)) == []
    shutil.rmtree(bench.out)
    bench.run(*LIMIT)
    assert passport.differences(first, of(bench)) == []


def test_a_killed_run_that_went_on_knows_what_it_asked_first(bench: Bench) -> None:
    bench.run(*LIMIT)
    whole = of(bench)
    shutil.rmtree(bench.out)
    killed = bench.run(*LIMIT, before="os.kill(os.getpid(), signal.SIGKILL) if n == 1 else None")
    assert killed.returncode == -9

    bench.run(*LIMIT)
    assert of(bench)["prompts"] == whole["prompts"]


AFTER_A_SAVE = """
import vlmeval.inference as inference
if n == 0:
    whole = inference.dump
    def dump(*arguments):
        whole(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    inference.dump = dump
"""


def test_an_answer_that_was_saved_before_a_kill_is_explained(bench: Bench) -> None:
    bench.run(*LIMIT)
    whole = of(bench)
    shutil.rmtree(bench.out)
    killed = bench.run(*LIMIT, before=AFTER_A_SAVE)
    assert killed.returncode == -9

    bench.run(*LIMIT)
    assert of(bench)["prompts"] == whole["prompts"]


BEGINS_WITH_END = """
import transformers
transformers.PreTrainedTokenizerBase.batch_decode = lambda *_arguments, **_options: ["</s>Yes"]
"""


def test_answers_that_begin_with_a_special_token_are_told_and_listed(bench: Bench) -> None:
    done = bench.run(*LIMIT, before=BEGINS_WITH_END)

    told = [line for line in done.stderr.splitlines() if line.startswith("SPECIAL TOKEN ")]
    assert of(bench)["generation"]["special_tokens"] == {"</s>": ["0", "1"]}
    assert [line.split(":")[0] for line in told] == ["SPECIAL TOKEN sample 0", f"SPECIAL TOKEN {MODEL} x POPE"]
    assert "2 of 2 answers begin with '</s>'" in told[1]


def test_another_image_is_told_as_data_and_prompts(bench: Bench) -> None:
    bench.run(*LIMIT)
    first = of(bench)
    write_pope(bench, 12, shade=7)

    assert "data.md5" in set_aside(bench.run(*LIMIT))
    assert words(first, of(bench)) == {"data", "prompts"}


def test_llava_s_own_prompt_is_told_as_prompts(bench: Bench) -> None:
    bench.run(*LIMIT)
    first = of(bench)

    assert 'prompt was "vlmevalkit", is "llava"' in set_aside(bench.run(*LIMIT, VLDOCK_PROMPT="llava"))
    assert words(first, of(bench)) == {"prompts"}


def test_another_dtype_is_told_as_hardware(bench: Bench) -> None:
    bench.run(*LIMIT)
    first = of(bench)

    assert "device was" in set_aside(bench.run(*LIMIT, VLDOCK_DTYPE="bfloat16"))
    assert words(first, of(bench)) == {"hardware"}


def test_another_engine_is_told_as_generation_and_answers_alike(bench: Bench) -> None:
    bench.run(*LIMIT)
    first = of(bench)

    done = bench.run(*LIMIT, "--engine", "batched", "--batch-size", "2")

    assert 'engine was "stock", is "batched/2"' in set_aside(done)
    assert words(first, of(bench)) == {"generation"}
    assert of(bench)["generation"]["engine"] == "batched"
    assert of(bench)["generation"]["batch_size"] == {"asked": 2, "actual": 2}
    assert of(bench)["outcome"] == first["outcome"]


def test_one_byte_of_the_weights_is_told_as_weights(bench: Bench, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(bench.cache, cache, symlinks=True)
    mine = Bench(bench.root, cache, bench.warm)
    mine.run(*LIMIT)
    first = of(mine)
    shard = next(path for path in cache.rglob("snapshots/*/*") if path.suffix in (".safetensors", ".bin"))
    content = bytearray(shard.read_bytes())
    content[-100] ^= 1
    shard.resolve().write_bytes(bytes(content))

    done = mine.run(*LIMIT)

    assert "model.weights was" in set_aside(done)
    assert done.returncode != 0 or words(first, of(mine)) == {"weights"}


def test_a_prompt_that_is_cut_is_told_for_each_sample(bench: Bench) -> None:
    longer = bench.lmu / "POPE.tsv"
    longer.write_text(longer.read_text().replace("Is there a cat?", "Is there a cat? " * 800))

    done = bench.run(*LIMIT)

    assert done.stderr.count("CUT sample") == 2, done.stderr
    assert of(bench)["prompts"]["cut"] == ["0", "1"]


def test_an_unknown_template_is_refused(bench: Bench) -> None:
    done = bench.run(*LIMIT, VLDOCK_PROMPT="vicuna")

    assert done.returncode != 0
    assert "VLDOCK_PROMPT=vicuna" in done.stdout + done.stderr


def test_no_secret_and_no_user_is_in_a_passport(bench: Bench) -> None:
    bench.run(*LIMIT, HF_TOKEN="hf_secretsecretsecretsecret", USER="alice", LOGNAME="alice")

    text = json.dumps(of(bench))
    assert "hf_secret" not in text
    assert "alice" not in text


def test_the_two_templates_differ_where_they_are_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    message = [{"type": "image", "value": "x.png"}, {"type": "text", "value": "Is it red?"}]
    assert prompts.render_llava(None, message) is None
    monkeypatch.setenv("VLDOCK_PROMPT", "llava")

    text = prompts.render_llava(None, message)

    assert text is not None
    assert text.endswith("USER: <image>\nIs it red? ASSISTANT:")


def test_a_digest_is_remembered_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = file_hashes.sha256_of([file])[file]
    assert file_hashes.sha256_of([file])[file] == first

    file.write_bytes(b"two!")

    assert file_hashes.sha256_of([file])[file] != first


def test_weights_that_are_not_here_have_no_digest() -> None:
    assert model_files.digest("nobody/nothing") is None
