"""LeRobot's layout, v2.0, v2.1 and v3.0: meta/, data/ and videos/ (huggingface/lerobot, datasets/utils.py).

v2: data/chunk-000/episode_000000.parquet, meta/tasks.jsonl, meta/episodes.jsonl, one video for each episode and camera.
v3: data/chunk-000/file-000.parquet, meta/tasks.parquet, meta/episodes/, videos of many episodes, from_timestamp each.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.image.heads.episodes import columns, stored
from vldock.image.heads.episodes.rows import Faults, Picture, Row
from vldock.image.heads.episodes.stored import ParquetPicture, VideoFrame

INFO = "meta/info.json"
VIDEO_V2 = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
VIDEO_V3 = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
PREFIX = "observation.images."


@dataclass(frozen=True)
class Meta:
    """What meta/ declares: version, features, tasks, episodes."""

    folder: Path
    version: str
    info: dict[str, Any]
    tasks: dict[int, str]
    episodes: dict[int, dict[str, Any]]

    def cameras(self, kind: str) -> list[str]:
        """Return the features of a dtype, "image" or "video"."""
        return [name for name, one in self.info["features"].items() if one.get("dtype") == kind]

    def video(self, camera: str, episode: int) -> tuple[Path, int]:
        """Return the video of an episode, and its first frame in it."""
        if self.version.startswith("v2"):
            chunk = episode // int(self.info.get("chunks_size") or 1000)
            pattern = self.info.get("video_path") or VIDEO_V2
            return self.folder / pattern.format(episode_chunk=chunk, video_key=camera, episode_index=episode), 0
        own = self.episodes[episode]
        at = {name: int(own[f"videos/{camera}/{name}"]) for name in ("chunk_index", "file_index")}
        first = round(float(own[f"videos/{camera}/from_timestamp"]) * float(self.info["fps"]))
        return self.folder / (self.info.get("video_path") or VIDEO_V3).format(video_key=camera, **at), first


def read_meta(folder: Path, faults: Faults) -> Meta | None:
    """Return the declarations of a LeRobot folder; None where a fault was added."""
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
        version = str(info["codebase_version"])
        if not version.startswith(("v2.", "v3.")) or not isinstance(info["features"], dict):
            faults.add(INFO, f"codebase_version is {version!r}, read are v2.0, v2.1 and v3.0")
            return None
        if version.startswith("v2."):
            tasks = {int(one["task_index"]): str(one["task"]) for one in _lines(folder / "meta/tasks.jsonl")}
            episodes = {int(one["episode_index"]): one for one in _lines(folder / "meta/episodes.jsonl")}
        else:
            listed = _tables([folder / "meta/tasks.parquet"])
            tasks = {int(one["task_index"]): str(one.get("task", one.get("__index_level_0__"))) for one in listed}
            episodes = {
                int(one["episode_index"]): one for one in _tables(sorted(folder.glob("meta/episodes/*/*.parquet")))
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        faults.add("meta", f"cannot be read: {type(error).__name__}: {error}")
        return None
    return Meta(folder, version, info, tasks, episodes)


def read(meta: Meta, faults: Faults) -> Iterator[Row]:
    """Yield the rows of every data file, episode by episode."""
    lengths: dict[int, int] = defaultdict(int)
    for path in sorted(meta.folder.glob("data/*/*.parquet")):
        for where, values, images in _rows(path, meta, faults):
            episode = values.get("episode_index")
            if not isinstance(episode, int):
                faults.add(where, f"episode_index is {episode!r}")
                continue
            frame, lengths[episode] = lengths[episode], lengths[episode] + 1
            pictures = images | _frames(meta, where, episode, frame, faults)
            row = columns.make_row(where, _named(values, pictures, meta), lambda _, value: value, faults)
            if row:
                yield row
    _compare_lengths(meta, lengths, faults)


def _rows(path: Path, meta: Meta, faults: Faults) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield (name, plain columns, images or their faults) of each row."""
    import pyarrow
    import pyarrow.parquet

    try:
        opened = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        faults.add(path.name, f"is no parquet file: {error}")
        return
    cameras = [name for name in meta.cameras("image") if name in opened.schema_arrow.names]
    wanted = [name for name in opened.schema_arrow.names if name in _PLAIN]
    place = 0
    for group in range(opened.num_row_groups):
        columns_of = {name: stored.image_column(path, group, name) for name in cameras}
        for number, values in enumerate(opened.read_row_group(group, wanted).to_pylist()):
            images: dict[str, Any] = {}
            for name, column in columns_of.items():
                images[name] = _image(meta.folder, ParquetPicture(path, group, number, (name,)), column[number].as_py())
            yield f"{path.name}, row {place}", values, images
            place += 1


_PLAIN = ("observation.state", "action", "task_index", "task", "episode_index", "frame_index")


def _image(folder: Path, place: ParquetPicture, value: Any) -> Picture | str:
    if isinstance(value, dict) and value.get("bytes"):
        return place
    return columns.file_of(folder)(str(place.keys[0]), value.get("path") if isinstance(value, dict) else value)


def _frames(meta: Meta, where: str, episode: int, frame: int, faults: Faults) -> dict[str, Any]:
    """Return the video frames of one row; a video is looked at once, at an episode's first row."""
    found: dict[str, Any] = {}
    for camera in meta.cameras("video"):
        try:
            path, first = meta.video(camera, episode)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            found[camera] = f"{camera}: meta/ names no video of episode {episode} ({error})"
            continue
        if frame == 0:
            rows = int((meta.episodes.get(episode) or {}).get("length") or 1)
            if fault := stored.find_video_fault(path, first + rows):
                faults.add(where, f"{camera}: {fault}")
        found[camera] = VideoFrame(path, first + frame)
    return found


def _named(values: dict[str, Any], pictures: dict[str, Any], meta: Meta) -> dict[str, Any]:
    """Return a row's values under this package's names."""
    task = values.get("task_index")
    named = {"episode": values["episode_index"], "action": values.get("action")}
    named["state"] = values.get("observation.state")
    named["instruction"] = values.get("task") or (meta.tasks.get(task) if isinstance(task, int) else None)
    return named | {"images": {name.removeprefix(PREFIX): one for name, one in pictures.items()} or None}


def _compare_lengths(meta: Meta, lengths: dict[int, int], faults: Faults) -> None:
    for episode, own in sorted(meta.episodes.items()):
        declared = int(own.get("length") or 0)
        if not lengths.get(episode):
            faults.add(f"episode {episode}", "has no rows in data/")
        elif declared and declared != lengths[episode]:
            faults.add(f"episode {episode}", f"has {lengths[episode]} rows in data/, {declared} in meta/")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _tables(paths: list[Path]) -> list[dict[str, Any]]:
    """Return the rows of meta tables, without the statistics."""
    import pyarrow.parquet

    found: list[dict[str, Any]] = []
    for path in paths:
        opened = pyarrow.parquet.ParquetFile(path)
        names = [name for name in opened.schema_arrow.names if not name.startswith("stats/")]
        found += opened.read(names).to_pylist()
    return found
