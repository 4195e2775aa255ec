"""`features export` and `features import`: what is copied is what was there, nothing is overwritten."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from feature_fixture import TOWER
from PIL import Image

from vldock.image.__main__ import main
from vldock.image.features import build, fsck, lookup, pt_files, pt_transfer, shards
from vldock.image.features.cache import FeatureCache
from vldock.image.features.model_choice import ModelChoice, open_model
from vldock.image.features.picture_rows import ImageRow, from_json

PROMPTS = ("pick up the cup", "open the drawer")
NAME = "Qwen/Qwen2.5-VL-3B-Instruct"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Six rows of two data sets: three pictures, two prompts; the third picture is the first once more."""
    for index in range(3):
        Image.linear_gradient("L").rotate(60 * (index % 2)).convert("RGB").save(tmp_path / f"{index}.png")
    said = [
        {"image": f"{i}.png", "prompt": prompt, "dataset": f"day_{n}", "vlm_idx": i}
        for n, prompt in enumerate(PROMPTS)
        for i in range(3)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(said))
    return tmp_path / "rows.json"


def foreign(root: Path, rows: Path, *, digits: int = 8, algorithm: str = "md5") -> list[ImageRow]:
    """Save each row's features as other code does, (1, 1, width): its place in the list."""
    wanted = from_json(rows, prompt_key="prompt")
    for number, row in enumerate(wanted):
        folder = root / hashlib.new(algorithm, row.prompt.encode()).hexdigest()[:digits]
        folder.mkdir(parents=True, exist_ok=True)
        value = number if row.vlm_idx < 2 else number - 2  # the same picture, the same features
        torch.save(torch.full((1, 1, 5), value, dtype=torch.float16), folder / f"{row.dataset}_vlm{row.vlm_idx}.pt")
    return wanted


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    """Return exit status, JSON and standard error of a `features` command."""
    status = main(["features", *map(str, words), "--as-json"])
    said = capsys.readouterr()
    return status, json.loads(said.out) if said.out else {}, said.err


@pytest.mark.parametrize(("algorithm", "digits"), [("md5", 8), ("sha1", 12), ("sha256", 64)])
def test_files_of_another_model_are_read_as_a_model_of_their_own(
    algorithm: str, digits: int, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = foreign(tmp_path / "pt", rows, algorithm=algorithm, digits=digits)

    status, said, _ = run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME,
                          "--cache", tmp_path / "cache")  # fmt: skip

    model, processor = open_model(ModelChoice(f"imported:{NAME}", prompted=True))
    done = build.build(wanted, vl_model=model, processor=processor, cache_dir=tmp_path / "cache")
    with FeatureCache(tmp_path / "cache", done.space) as cache:
        found = [one.features for one in map(lookup.CachedPictures(wanted, cache).__getitem__, range(6))]
    assert (status, said["copied"], said["kept"], done.computed) == (0, 4, 2, 0)
    assert [one.tolist() for one in found] == [[[float(n)] * 5] for n in (0, 1, 0, 3, 4, 3)]
    assert fsck.check(tmp_path / "cache").clean


def test_an_image_without_imported_features_is_refused_with_the_command(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["features", "build", "--model", f"imported:{NAME}", "--json", str(rows), "--prompt-key", "prompt",
                   "--cache", str(tmp_path / "cache")])  # fmt: skip

    assert status == 4
    assert "features import --pt DIR --json FILE --model-name NAME" in capsys.readouterr().err


def test_faulty_files_are_named_and_the_others_imported(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(tmp_path / "pt", rows)
    (first, wide, gone, *_) = sorted((tmp_path / "pt").glob("*/*.pt"))
    torch.save(torch.tensor([[torch.nan] * 5]), first)
    torch.save(torch.ones(1, 6), wide)
    gone.unlink()

    status, said, err = run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME,
                            "--cache", tmp_path / "cache")  # fmt: skip

    assert (status, len(said["faults"]), len(said["missing"])) == (4, 2, 1)
    assert all(name in err for name in (first.name, wide.name, "no .pt file of day_1 row 2"))
    assert said["copied"] + said["kept"] == 3


def test_folders_of_an_unknown_hash_are_told_and_found_by_their_names(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(tmp_path / "pt", rows)
    folders = sorted(one for one in (tmp_path / "pt").iterdir())
    names = {}
    for number, folder in enumerate(folders):
        folder.rename(folder.with_name(f"prompt-{number}"))
        names[next(p for p in PROMPTS if hashlib.md5(p.encode()).hexdigest()[:8] == folder.name)] = f"prompt-{number}"
    (tmp_path / "names.json").write_text(json.dumps(names))
    words = ("import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME, "--cache", tmp_path / "cache")

    refused, _, err = run(capsys, *words)
    status, said, _ = run(capsys, *words, "--prompt-hashes", tmp_path / "names.json")

    assert (refused, status, said["copied"]) == (4, 0, 4)
    assert "--prompt-hashes FILE.json" in err


def test_dry_runs_write_nothing(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path / "pt", rows)
    words = ("import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME, "--cache", tmp_path / "cache")

    _, said, _ = run(capsys, *words, "--dry-run")
    assert said["copied"] == 6
    assert not list(tmp_path.glob("cache/*/*"))
    run(capsys, *words)
    _, said, _ = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "cache", "--dry-run")

    assert said["copied"] == 4
    assert not (tmp_path / "out").exists()


def test_an_export_has_the_document_s_form_and_a_file_for_an_image_that_stands_twice(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(tmp_path / "pt", rows)
    run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME, "--cache", tmp_path / "cache")
    words = ("export", "--pt", tmp_path / "out", "--cache", tmp_path / "cache", "--json", rows)

    status, first, _ = run(capsys, *words)
    _, again, _ = run(capsys, *words)

    wanted = hashlib.sha256(PROMPTS[1].encode()).hexdigest()[:8]
    found = torch.load(tmp_path / "out" / wanted / "day_1_vlm2.pt")
    assert (status, first["copied"], again["copied"], again["kept"]) == (0, 6, 0, 6)
    assert (found.dtype, found.tolist()) == (torch.float16, [[3.0] * 5])


def test_an_export_overwrites_nothing(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path / "pt", rows)
    run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME, "--cache", tmp_path / "cache")
    pt_files.write_pt(tmp_path / "out", torch.zeros(9), prompt=PROMPTS[0], dataset="day_0", index=1)

    status, said, err = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "cache")

    kept = pt_files.read_pt(tmp_path / "out", prompt=PROMPTS[0], dataset="day_0", index=1)
    assert (status, said["copied"]) == (4, 3)
    assert "day_0_vlm1.pt has other content" in err
    assert kept.tolist() == [0.0] * 9


def test_two_prompts_of_one_folder_are_refused(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path / "pt", rows)
    run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME, "--cache", tmp_path / "cache")
    (tmp_path / "names.json").write_text(json.dumps(dict.fromkeys(PROMPTS, "one")))

    status, _, err = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "cache",
                         "--prompt-hashes", tmp_path / "names.json")  # fmt: skip

    assert status == 4
    assert "have one folder, one" in err


def test_features_of_two_kinds_must_be_chosen(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path / "pt", rows)
    for name in (NAME, "other/model"):
        run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", name, "--cache", tmp_path / "c")
    short = pt_transfer.imported_space(NAME).short

    refused, _, err = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "c")
    status, said, _ = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "c", "--space", short)

    assert (refused, status, said["copied"]) == (2, 0, 4)
    assert f"--space {short}: 4 rows" in err


def test_a_limit_below_the_copy_is_refused(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path / "pt", rows)

    status, _, err = run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME,
                         "--cache", tmp_path / "cache", "--limit", "0.00000005")  # fmt: skip

    assert status == 2
    assert "6 rows take 6e-08 GB" in err


def test_a_tower_s_features_are_exported_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "day").mkdir()
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "day/0.png")
    main(["features", "build", "--model", str(TOWER), "--images", f"{tmp_path}/day", "--cache", f"{tmp_path}/cache"])
    capsys.readouterr()

    status, said, _ = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "cache")

    assert (status, said["copied"]) == (0, 1)
    assert torch.load(tmp_path / "out/prompt-free/day_vlm0.pt").shape == (576, 64)


def test_a_damaged_shard_is_left_out(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign(tmp_path / "pt", rows)
    run(capsys, "import", "--pt", tmp_path / "pt", "--json", rows, "--model-name", NAME, "--cache", tmp_path / "cache")
    next(shards.find_shards(tmp_path / "cache")).write_bytes(b"nothing")

    status, said, _ = run(capsys, "export", "--pt", tmp_path / "out", "--cache", tmp_path / "cache")

    assert (status, said["copied"]) == (0, 2)
