"""Episode data sets: every form gives the same rows, every fault is named before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import episode_fixture as made
import pytest

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features.picture_rows import decode
from vldock.image.heads.episodes.read import read
from vldock.image.heads.episodes.rows import Episodes
from vldock.image.heads.episodes.split import split
from vldock.image.heads.episodes.stored import VideoFrame

FORMS: dict[str, Callable[[Path], Path]] = {
    "jsonl": made.write_jsonl,
    "json": made.write_json,
    "parquet": made.write_parquet,
    "LeRobot v2.0": lambda folder: made.write_lerobot(folder, version="v2.0"),
    "LeRobot v2.1": made.write_lerobot,
    "LeRobot v2.1, videos": lambda folder: made.write_lerobot(folder, video=True),
    "LeRobot v3.0": lambda folder: made.write_lerobot(folder, version="v3.0"),
    "LeRobot v3.0, videos": lambda folder: made.write_lerobot(folder, version="v3.0", video=True),
}


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_rows(write: Callable[[Path], Path], tmp_path: Path) -> None:
    found = read(write(tmp_path / "mine"))

    assert (found.name, found.cameras, len(found.rows)) == ("mine", made.CAMERAS, 24)
    for row, wanted in zip(found.rows, made.rows(), strict=True):
        assert (row.episode, row.instruction) == (str(wanted["episode"]), wanted["instruction"])
        assert row.action == pytest.approx(wanted["action"])
        assert row.state == pytest.approx(wanted["state"])


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
def test_every_picture_is_that_of_its_row_and_camera_forward_and_back(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    found = read(write(tmp_path / "mine"))

    for place in (*range(24), 5, 3, 23, 0):
        for camera, name in enumerate(made.CAMERAS):
            pixel = decode(found.rows[place].pictures[name].read_bytes()).getpixel((16, 16))
            wanted = made.color(*divmod(place, made.STEPS), camera)
            assert all(abs(own - other) <= 6 for own, other in zip(pixel, wanted, strict=True)), (place, name, pixel)


def test_a_picture_has_the_number_row_times_cameras_plus_camera(tmp_path: Path) -> None:
    found = read(made.write_jsonl(tmp_path / "mine"))

    assert [found.vlm_idx(7, camera) for camera in range(2)] == [14, 15]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "missing image": ({"images": {"top": "no.png", "wrist": "images/0-0-wrist.png"}}, "top no.png: no such file"),
    "one camera less": ({"images": {"top": "images/0-0-top.png"}}, "cameras top, top, wrist in"),
    "both image and images": ({"image": "images/0-0-top.png"}, "has both image and images"),
    "no image": ({"images": None}, "has neither image nor images"),
    "another action size": ({"action": [1.0, 2.0]}, "action has 2 numbers, 5 in"),
    "no action": ({"action": []}, "action is empty"),
    "not a number": ({"action": [0, 1, float("nan"), 3, 4]}, "action[2] is nan"),
    "infinite state": ({"state": [0, float("inf")]}, "state[1] is inf"),
    "a text for an action": ({"action": ["left", 0, 0, 0, 0]}, "action[0] is 'left'"),
    "no instruction": ({"instruction": " "}, "instruction is ' ', not a text"),
    "no episode": ({"episode": None}, "episode is None"),
    "no state": ({"state": None}, "state has 0 numbers, 2 in"),
    "a split of its own": ({"split": "held-out"}, "episode 1 is 'held-out' here, '' in"),
    "an unknown split": ({"split": "some"}, "split is 'some'"),
}


@pytest.mark.parametrize(("change", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_refused_by_name_of_row(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    rows = made.rows()
    rows[6] |= change

    with pytest.raises(InputRefused) as caught:
        read(made.write_jsonl(tmp_path / "mine", rows))

    assert f"rows.jsonl, line 7: {told}" in caught.value.message
    assert "1 fault\n" in caught.value.message


def test_usual_spellings_of_the_columns_are_read(tmp_path: Path) -> None:
    spelt = {"episode": "episode_id", "instruction": "prompt", "action": "actions", "state": "proprio"}
    rows = [{spelt.get(name, name): value for name, value in row.items()} for row in made.rows()]

    found = read(made.write_jsonl(tmp_path / "mine", rows))

    assert [row.action for row in found.rows] == [row.action for row in read(made.write_jsonl(tmp_path / "own")).rows]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"instruction": None, "prompt": "a", "task": "b"}, "has both prompt and task"),
        ({"proprio": [1.0, 2.0]}, "has both state and proprio"),
    ],
)
def test_two_spellings_of_one_column_are_refused(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    rows = made.rows()
    rows[6] |= change

    with pytest.raises(InputRefused, match=rf"rows\.jsonl, line 7: {told}"):
        read(made.write_jsonl(tmp_path / "mine", rows))


def test_a_column_that_is_absent_is_named_with_those_there(tmp_path: Path) -> None:
    rows = [{"number": row.pop("episode"), **row} for row in made.rows()]

    with pytest.raises(InputRefused, match=r"rows\.jsonl, line 1: has no episode, only number, images, "):
        read(made.write_jsonl(tmp_path / "mine", rows))


def test_all_faults_are_named_up_to_twenty(tmp_path: Path) -> None:
    rows = [row | {"action": "left"} for row in made.rows()]

    with pytest.raises(InputRefused) as caught:
        read(made.write_jsonl(tmp_path / "mine", rows))

    lines = caught.value.message.splitlines()
    assert (lines[0].endswith("24 faults"), len(lines), lines[-1]) == (True, 22, "  and 4 more")


def test_a_line_that_is_no_json_and_an_empty_file_are_named(tmp_path: Path) -> None:
    folder = made.write_jsonl(tmp_path / "mine")
    (folder / "b.jsonl").write_text("{not json\n")
    (folder / "c.jsonl").write_text("")

    with pytest.raises(InputRefused, match=r"b\.jsonl, line 1: is no JSON(.|\n)*c\.jsonl: has no rows"):
        read(folder)


def test_an_episode_lerobot_declares_and_does_not_have_is_named(tmp_path: Path) -> None:
    folder = made.write_lerobot(tmp_path / "mine")
    (folder / "data/chunk-000/episode_000004.parquet").unlink()

    with pytest.raises(InputRefused, match="episode 4: has no rows in data/"):
        read(folder)


def test_a_missing_and_a_short_video_are_named_once_each(tmp_path: Path) -> None:
    folder = made.write_lerobot(tmp_path / "mine", video=True)
    videos = folder / "videos/chunk-000/observation.images.wrist"
    (videos / "episode_000001.mp4").unlink()
    made.write_video(videos / "episode_000002.mp4", [(9, 9, 9)] * 3)

    with pytest.raises(InputRefused) as caught:
        read(folder)

    assert "2 faults" in caught.value.message
    assert "episode_000001.mp4: no such file" in caught.value.message
    assert "episode_000002.mp4: 3 frames, 4 rows" in caught.value.message


@pytest.mark.parametrize("codec", ["libaom-av1", "libx264", "mpeg4", "libvpx-vp9"])
def test_a_video_of_every_usual_codec_is_read_forward_and_back(codec: str, tmp_path: Path) -> None:
    colors = [(40, 20 * step, 220 - 15 * step) for step in range(12)]
    made.write_video(tmp_path / "one.mp4", colors, codec=codec)

    for frame in (0, 11, 4, 5):
        pixel = decode(VideoFrame(tmp_path / "one.mp4", frame).read_bytes()).getpixel((16, 16))
        assert all(abs(own - other) <= 6 for own, other in zip(pixel, colors[frame], strict=True)), (frame, pixel)
    with pytest.raises(OSError, match="frame 12 cannot be decoded"):
        VideoFrame(tmp_path / "one.mp4", 12).read_bytes()


def test_a_video_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    folder = made.write_lerobot(tmp_path / "mine", video=True)
    (folder / "videos/chunk-000/observation.images.top/episode_000000.mp4").write_bytes(b"not a video")

    with pytest.raises(
        InputRefused, match=r"episode_000000\.parquet, row 0: observation\.images\.top: .*cannot be opened"
    ):
        read(folder)


@pytest.mark.parametrize("files", [(), ("a.jsonl", "b.parquet")], ids=["none", "two kinds"])
def test_a_folder_of_no_form_or_two_is_refused(files: tuple[str, ...], tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()

    with pytest.raises(UsageError, match="no rows" if not files else "both JSONL and parquet"):
        read(tmp_path)


def _split(found: Episodes, seed: int = 0) -> tuple[set[str], set[str]]:
    parts = split([found], held_out=0.3, seed=seed)
    first, second = ({found.rows[row].episode for _, row in part} for part in parts)
    return first, second


def test_an_episode_is_on_one_side_and_stays_there_when_others_are_added(tmp_path: Path) -> None:
    many = [row | {"episode": number} for number in range(40) for row in made.rows()[:2]]
    few = _split(read(made.write_jsonl(tmp_path / "few", many[20:60])))
    all_of_them = _split(read(made.write_jsonl(tmp_path / "all", many)))

    assert not few[0] & few[1]
    assert few[0] <= all_of_them[0]
    assert few[1] <= all_of_them[1]


@pytest.mark.parametrize("seed", range(8))
def test_two_episodes_are_one_on_each_side(seed: int, tmp_path: Path) -> None:
    found = read(made.write_jsonl(tmp_path / "mine", made.rows()[:8]))

    assert [len(side) for side in _split(found, seed)] == [1, 1]


def test_a_split_of_the_rows_own_is_kept(tmp_path: Path) -> None:
    rows = [row | {"split": "held-out" if row["episode"] == 2 else "train"} for row in made.rows()]

    assert _split(read(made.write_jsonl(tmp_path / "mine", rows)))[1] == {"2"}


def test_one_episode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="mine: 1 episode"):
        _split(read(made.write_jsonl(tmp_path / "mine", json.loads(json.dumps(made.rows()[:4])))))
