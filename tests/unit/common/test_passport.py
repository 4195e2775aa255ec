"""`vldock passport`: the differences between two scores in plain words."""

from __future__ import annotations

import copy
import json
import os

import jsonschema
import pytest
from click.testing import CliRunner

from vldock.common import passport
from vldock.common.errors import InputRefused
from vldock.host.cli.passport import passport_group
from vldock.host.util import checkout
from vldock.image.vlmeval_hooks.provenance import passport as image_passport

PASSPORT = {
    "schema": 1,
    "model": "llava_v1.5_7b",
    "benchmark": "POPE",
    "standin": False,
    "image": {"id": "sha256:" + "1" * 64, "version": "0.1.0", "lock_sha256": "2" * 64},
    "code": {"vlmeval_version": "0.0.20", "torch": "2.1.2+cu121"},
    "weights": {"repo": "liuhaotian/llava-v1.5-7b", "revision": "3" * 40, "files": {"a.bin": "4" * 64}, "sha256": "5"},
    "vision_tower": None,
    "data": {"file": "POPE.tsv", "md5": "6" * 32, "sha256": "7" * 64, "rows": 2, "limit": 2},
    "prompts": {
        "template": "vlmevalkit",
        "sha256": "8",
        "token_limit": 2048,
        "cut": [],
        "samples": {"0": ["a", "b", 600], "1": ["c", "d", 601]},
    },
    "generation": {
        "arguments": {"do_sample": False},
        "seed": None,
        "engine": "stock",
        "batch_size": {"asked": 1, "actual": 1},
    },
    "judge": {"name": "exact_matching", "mode": "exact matching"},
    "hardware": {"model": {"device": "cpu", "dtype": "float32", "attention": "sdpa"}, "driver": None, "cuda": None},
    "outcome": {"predictions_sha256": "9"},
    "run": {"command": ["run.py"], "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:01+00:00"},
}
CHANGES = {
    "image": ("image", "id", "sha256:" + "f" * 64),
    "code": ("code", "torch", "2.1.3"),
    "weights": ("weights", "sha256", "6"),
    "data": ("data", "md5", "0" * 32),
    "prompts": ("prompts", "template", "llava"),
    "generation": ("generation", "batch_size", 8),
    "judge": ("judge", "name", "gpt-4o-mini"),
    "hardware": ("hardware", "driver", "550.54"),
}


def changed(aspect, field, value):
    other = copy.deepcopy(PASSPORT)
    other[aspect][field] = value
    return other


@pytest.fixture
def write(tmp_path):
    """A function that writes a cell's passport and returns the run's folder."""

    def make(name, value):
        path = tmp_path / name / value["model"] / value["benchmark"] / "passport.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
        return tmp_path / name

    return make


def run(*argv):
    return CliRunner().invoke(passport_group, [str(word) for word in argv], standalone_mode=False)


def imaged(value, source, build="a" * 64):
    return {**PASSPORT, "image": {"id": value, "id_source": source, "build_digest": build, "version": "0.1.0"}}


@pytest.mark.parametrize(
    ("second", "fields"),
    [
        pytest.param(imaged("a" * 64, "build"), [], id="the same image without Docker"),
        pytest.param(imaged("sha256:2", "docker"), ["image.id"], id="made of that image"),
        pytest.param(
            imaged("b" * 64, "build", "b" * 64),
            ["image.build_digest", "image.id", "image.id_source"],
            id="another build",
        ),
    ],
)
def test_an_image_is_the_same_with_and_without_docker(second, fields):
    found = passport.differences(imaged("sha256:1", "docker"), second)

    assert [one.field for one in found] == fields


@pytest.mark.parametrize(
    ("environ", "named"), [({}, ("built", "build")), ({"VLDOCK_IMAGE_ID": "sha256:1"}, ("sha256:1", "docker"))]
)
def test_an_image_that_docker_did_not_name_is_named_by_its_build(environ, named, monkeypatch):
    monkeypatch.setattr(image_passport, "read_build_digest", lambda: "built")
    monkeypatch.setattr(os, "environ", environ)

    facts = image_passport.image_facts.__wrapped__()

    assert (facts["id"], facts["id_source"]) == named
    assert facts["build_digest"] == "built"


def test_what_changes_with_every_run_is_no_difference():
    other = changed("run", "started", "2027-01-01T00:00:00+00:00")
    other["outcome"]["predictions_sha256"] = "0"
    assert passport.differences(PASSPORT, other) == []


@pytest.mark.parametrize(("word", "change"), CHANGES.items(), ids=CHANGES.keys())
def test_what_moved_is_named_with_its_effect(word, change, write):
    done = run("diff", write("a", PASSPORT), write("b", changed(*change)))
    assert done.return_value == 1
    assert f"moved: {word}" in done.output
    assert passport.ASPECTS[change[0]][1] in done.output


def test_nothing_moved_is_exit_0(write):
    done = run("diff", write("a", PASSPORT), write("b", PASSPORT))
    assert (done.return_value, done.output.strip()) == (0, "llava_v1.5_7b x POPE: same")


def test_changed_prompts_are_counted():
    other = changed("prompts", "samples", {"0": ["a", "b", 600], "1": ["c", "x", 602]})
    (one,) = passport.differences(PASSPORT, other)
    assert one.field == "1 of 2 prompts (first: sample 1)"


def test_a_cell_of_one_side_only_is_a_difference(write):
    first = write("a", PASSPORT)
    write("a", {**PASSPORT, "benchmark": "MMStar"})
    done = run("diff", first, write("b", {**PASSPORT, "benchmark": "MMStar"}))
    assert (done.return_value, "same" in done.output) in ((0, True), (1, True))
    assert "POPE: only in" in done.output


def test_what_was_set_aside_is_no_passport_of_the_run(write, tmp_path):
    folder = write("a", PASSPORT)
    old = folder / "set-aside" / "20260101" / "x_POPE_passport.json"
    old.parent.mkdir(parents=True)
    old.write_text(json.dumps({**PASSPORT, "benchmark": "MMStar"}))
    assert len(passport.find(folder)) == 1


def test_a_folder_without_passports_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="no passport in"):
        passport.find(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 99}'])
def test_a_file_that_is_no_passport_is_refused(tmp_path, text):
    (tmp_path / "passport.json").write_text(text)
    with pytest.raises(InputRefused, match="passport"):
        passport.load(tmp_path / "passport.json")


def test_the_schema_takes_a_passport_and_refuses_a_field_left_out():
    schema = json.loads((checkout.root() / "docs/trust/passport.schema.json").read_text())
    jsonschema.validate(PASSPORT, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({name: value for name, value in PASSPORT.items() if name != "weights"}, schema)


def test_the_schema_takes_special_tokens_in_answers_and_a_seed_per_sample():
    schema = json.loads((checkout.root() / "docs/trust/passport.schema.json").read_text())
    special = changed("generation", "special_tokens", {"<s>": ["0", "3"]})
    special["generation"]["seed"] = "per sample"
    jsonschema.validate(special, schema)
    special["generation"]["special_tokens"] = ["0", "3"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(special, schema)


def test_show_counts_what_is_long(write):
    done = run("show", write("a", PASSPORT))
    assert done.exit_code == 0
    assert "prompts.samples" in done.output
    assert '"a"' not in done.output


def with_cache(dtype, features):
    """A passport of the batched engine."""
    other = copy.deepcopy(PASSPORT)
    other["generation"]["engine"] = "batched"
    other["hardware"]["model"]["dtype"] = dtype
    return {**other, "features": features}


READ = {"space": "0123456789abcdef", "samples": 2, "read": 2, "computed": 0, "held": 0}
COMPUTED = {**READ, "read": 0, "computed": 2}


@pytest.mark.parametrize(
    ("dtype", "first", "second"),
    [("float32", None, READ), ("float32", COMPUTED, READ), ("float16", COMPUTED, READ)],
    ids=["float32 without and with", "float32 cold and warm", "float16 cold and warm"],
)
def test_features_of_the_same_bits_are_no_difference(dtype, first, second):
    assert passport.differences(with_cache(dtype, first), with_cache(dtype, second)) == []


def test_in_half_precision_the_feature_cache_is_told_as_generation():
    (found,) = passport.differences(with_cache("float16", None), with_cache("float16", READ))

    assert str(found) == "generation: features was pictures in batches, is each picture alone (feature cache)"


def test_the_schema_takes_what_came_from_the_feature_cache():
    schema = json.loads((checkout.root() / "docs/trust/passport.schema.json").read_text())
    jsonschema.validate(with_cache("float32", READ), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(with_cache("float32", {"space": "0"}), schema)


def test_python_from_outside_the_image_is_in_the_schema_and_a_difference_of_code():
    other = changed("code", "foreign_python", "PYTHONPATH=/data/lib")
    (found,) = passport.differences(PASSPORT, other)

    jsonschema.validate(other, json.loads((checkout.root() / "docs/trust/passport.schema.json").read_text()))
    assert str(found) == "code: code.foreign_python was null, is PYTHONPATH=/data/lib"
