"""`vldock receipt check`: an exit code for each failure; a saved tar needs no engine."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import receipts, saved_image
from support.saved_image import SavedImage

from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.errors import Damaged
from vldock.host.images import archive
from vldock.host.receipts import envelope
from vldock.host.receipts import suite as receipt_suite

Check = Callable[..., int]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SavedImage]:
    """A folder with a key pair in keys/, and a saved image of which receipt.json is signed."""
    folder = tmp_path_factory.mktemp("kit")
    private, _, _ = envelope.keygen(folder / "keys")
    image = saved_image.save(folder / "image.tar")
    receipts.sealed(folder / "receipt.json", image.identity, key=private)
    return folder, image


@pytest.fixture
def check(kit: tuple[Path, SavedImage], capsys: pytest.CaptureFixture[str]) -> Check:
    """Check a receipt against a saved image; returns the exit code."""
    folder, image = kit

    def run(*options: str, receipt: Path = folder / "receipt.json", tar: Path = image.path, key: bool = True) -> int:
        capsys.readouterr()
        given = ["--key", str(folder / "keys" / envelope.PUBLIC_KEY)] if key else []
        return invoke(cli.cli, ["receipt", "check", str(receipt), "--tar", str(tar), *given, *options])

    return run


def signed(kit: tuple[Path, SavedImage], path: Path, **changes: object) -> Path:
    """Write a changed receipt, properly signed."""
    receipts.sealed(path, kit[1].identity, key=kit[0] / "keys" / envelope.PRIVATE_KEY, **changes)
    return path


def test_a_good_receipt_is_good_and_says_why(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0

    text = capsys.readouterr().out
    assert "is good for" in text
    assert all(word in text for word in ("signed by", "the same as here", "matrix: passed"))


def test_another_image_is_21(check: Check, tmp_path: Path) -> None:
    other = saved_image.save(tmp_path / "other.tar", seed=2)

    assert check(tar=other.path) == 21


def test_the_same_layers_under_another_config_are_another_image(
    check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = saved_image.save(tmp_path / "other.tar", labels={"changed": "yes"})

    assert check(tar=other.path) == 21
    assert "2 of 2 layers are the same" in capsys.readouterr().err


def test_another_key_is_23(check: Check, tmp_path: Path) -> None:
    _, public, _ = envelope.keygen(tmp_path)

    assert check("--key", str(public), key=False) == 23


def test_unsigned_is_24_unless_allowed(check: Check, kit: tuple[Path, SavedImage], tmp_path: Path) -> None:
    receipts.sealed(tmp_path / "receipt.json", kit[1].identity)

    assert check(receipt=tmp_path / "receipt.json") == 24
    assert check("--allow-unsigned", receipt=tmp_path / "receipt.json") == 0


def test_from_keygen_to_check_by_commands_alone(
    kit: tuple[Path, SavedImage], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt, tar = str(tmp_path / "receipt.json"), str(kit[1].path)
    receipts.sealed(tmp_path / "receipt.json", kit[1].identity)
    private, public = (str(tmp_path / "k" / name) for name in (envelope.PRIVATE_KEY, envelope.PUBLIC_KEY))

    assert invoke(cli.cli, ["receipt", "keygen", "--out", str(tmp_path / "k")]) == 0
    assert invoke(cli.cli, ["receipt", "sign", receipt, "--key", private]) == 0
    assert invoke(cli.cli, ["receipt", "sign", receipt, "--key", private]) == 2
    assert invoke(cli.cli, ["receipt", "show", receipt]) == 0
    assert "not verified" in capsys.readouterr().err
    assert invoke(cli.cli, ["receipt", "check", receipt, "--tar", tar, "--key", public, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["good"] is True


@pytest.mark.parametrize(
    ("statuses", "options", "code"),
    [
        ({"users": "failed"}, (), 25),
        ({"gpu": "failed"}, (), 25),
        ({"matrix": "skipped"}, (), 26),
        ({"gpu": "skipped"}, (), 0),
        ({"gpu": "skipped"}, ("--require-gpu",), 27),
        ({}, ("--require-gpu",), 27),
        ({"gpu": "passed"}, ("--require-gpu",), 0),
        ({"matrix": "skipped"}, ("--group", "static"), 0),
        ({}, ("--group", "mini-benchmark"), 26),
    ],
    ids=lambda value: str(value),
)
def test_groups_decide(
    check: Check,
    kit: tuple[Path, SavedImage],
    tmp_path: Path,
    statuses: dict[str, str],
    options: tuple[str, ...],
    code: int,
) -> None:
    path = signed(kit, tmp_path / "receipt.json", groups=receipts.groups(**statuses))  # type: ignore[arg-type]

    assert check(*options, receipt=path) == code


@pytest.mark.parametrize("field", ["tests", "patches"])
def test_another_suite_is_28_unless_any_will_do(
    check: Check, kit: tuple[Path, SavedImage], tmp_path: Path, field: str
) -> None:
    path = signed(kit, tmp_path / "receipt.json", inputs=replace(receipts.suite(), **{field: "0" * 64}))

    assert check(receipt=path) == 28
    assert check("--any-suite", receipt=path) == 0


@pytest.mark.parametrize("words", [[], ["--image", "x", "--tar", "y"]], ids=["none", "two"])
def test_exactly_one_image_is_asked_for(kit: tuple[Path, SavedImage], words: list[str]) -> None:
    assert invoke(cli.cli, ["receipt", "check", str(kit[0] / "receipt.json"), *words]) == 2


def test_every_single_flipped_byte_of_config_and_layers_is_29(kit: tuple[Path, SavedImage], tmp_path: Path) -> None:
    """Not a sample: one bit of every 97th byte of the tar, and of every byte of the config."""
    _, image = kit
    whole = image.path.read_bytes()
    start = whole.index(image.config)
    places = {*range(0, len(whole), 97), *range(start, start + len(image.config))}
    believed = []
    for place in sorted(places):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        (tmp_path / "x.tar").write_bytes(flipped)
        try:
            with archive.open_saved(tmp_path / "x.tar") as stream:
                seen = archive.read(stream, name="x.tar").identity
        except Damaged:
            continue
        believed.append((place, seen))

    # What is left is padding and the like between the members: it never changes what the image is taken for.
    assert {seen for _, seen in believed} <= {image.identity}
    content = [(whole.index(part), len(part)) for part in (image.config, *image.layers)]
    assert not [place for place, _ in believed if any(at <= place < at + size for at, size in content)]


def test_a_flipped_byte_names_the_layer(
    check: Check, kit: tuple[Path, SavedImage], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = bytearray(kit[1].path.read_bytes())
    whole[whole.index(kit[1].layers[1]) + 1000] ^= 0x40
    (tmp_path / "x.tar").write_bytes(whole)

    assert check(tar=tmp_path / "x.tar") == 29
    assert "layer 2 of 2 is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 100, 3000, 9000])
def test_a_tar_cut_short_is_29(check: Check, kit: tuple[Path, SavedImage], tmp_path: Path, size: int) -> None:
    (tmp_path / "x.tar").write_bytes(kit[1].path.read_bytes()[:size])

    assert check(tar=tmp_path / "x.tar") == 29


def test_no_tar_is_29(check: Check, tmp_path: Path) -> None:
    assert check(tar=tmp_path / "none.tar") == 29


def test_no_receipt_is_20(check: Check, tmp_path: Path) -> None:
    assert check(receipt=tmp_path / "none.json") == 20


@pytest.mark.parametrize("layout", ["legacy", "oci", "links"])
def test_every_layout_of_docker_save_is_read(tmp_path: Path, layout: str) -> None:
    made = saved_image.save(tmp_path / "a.tar", layout="legacy")
    saved_image.write(tmp_path / "b.tar", made.config, made.layers, layout=layout)

    with archive.open_saved(tmp_path / "b.tar") as stream:
        assert archive.read(stream, name="b").identity == made.identity


def test_a_layer_that_is_twice_in_the_image_may_be_a_link(tmp_path: Path) -> None:
    layer = saved_image.layer("file", b"x")
    config = saved_image.config_of((layer, layer))
    saved_image.write(tmp_path / "a.tar", config, (layer, layer), layout="links")

    with archive.open_saved(tmp_path / "a.tar") as stream:
        assert archive.read(stream, name="a").identity.layers == (saved_image.sha256(layer),) * 2


def test_packed_layers_and_a_packed_tar_are_the_same_image(tmp_path: Path) -> None:
    made = saved_image.save(tmp_path / "a.tar")
    saved_image.write(tmp_path / "b.tar", made.config, [gzip.compress(layer) for layer in made.layers], layout="oci")
    with (tmp_path / "b.tar").open("rb") as plain, gzip.open(tmp_path / "c.tar.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)

    with archive.open_saved(tmp_path / "c.tar.gz") as stream:
        assert archive.read(stream, name="c").identity == made.identity


def test_two_images_in_one_tar_are_refused(tmp_path: Path) -> None:
    made = saved_image.save(tmp_path / "a.tar")
    saved_image.write(made.path, made.config, made.layers, images=2)

    with archive.open_saved(made.path) as stream, pytest.raises(Damaged, match="2 images"):
        archive.read(stream, name="a")


def test_the_suite_is_known_by_content_and_path(tmp_path: Path) -> None:
    (tmp_path / "tests/image/__pycache__").mkdir(parents=True)
    (tmp_path / "tests/image/test_a.py").write_text("a")
    first = receipt_suite.hash_tree(tmp_path, ["tests/image"])

    (tmp_path / "tests/image/__pycache__/test_a.pyc").write_text("bytecode")
    assert receipt_suite.hash_tree(tmp_path, ["tests/image"]) == first
    (tmp_path / "tests/image/test_a.py").rename(tmp_path / "tests/image/test_b.py")
    assert receipt_suite.hash_tree(tmp_path, ["tests/image"]) != first
