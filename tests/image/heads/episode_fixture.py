"""Episode data sets as users have them: six episodes of four steps, two cameras, five action numbers."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import av
import numpy
import pyarrow
import pyarrow.parquet
from PIL import Image

EPISODES, STEPS, CAMERAS = 6, 4, ("top", "wrist")
TASKS = ("go to the red disc", "빨간 원으로 가세요")


def color(episode: int, step: int, camera: int) -> tuple[int, int, int]:
    """Return the colour of one picture."""
    return 40 * episode, 60 * step, 100 + 120 * camera


def png(episode: int, step: int, camera: int) -> bytes:
    """Return one picture, 32 pixels square."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), color(episode, step, camera)).save(stream, "png")
    return stream.getvalue()


def rows() -> list[dict[str, Any]]:
    """Return the 24 rows; pictures are names of files."""
    return [
        {
            "episode": episode,
            "images": {name: f"images/{episode}-{step}-{name}.png" for name in CAMERAS},
            "instruction": TASKS[episode % 2],
            "action": [episode / 5, step / 4, (episode + step) / 9, 0.5, -episode / 5],
            "state": [float(episode), float(step)],
        }
        for episode in range(EPISODES)
        for step in range(STEPS)
    ]


def write_pictures(folder: Path) -> None:
    """Write the 48 pictures."""
    (folder / "images").mkdir(parents=True)
    for episode in range(EPISODES):
        for step in range(STEPS):
            for camera, name in enumerate(CAMERAS):
                (folder / f"images/{episode}-{step}-{name}.png").write_bytes(png(episode, step, camera))


def write_jsonl(folder: Path, listed: list[dict[str, Any]] | None = None) -> Path:
    """Write rows.jsonl beside the pictures."""
    write_pictures(folder)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows() if listed is None] or [
        json.dumps(one) for one in listed or []
    ]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_json(folder: Path) -> Path:
    """Write one JSON list beside the pictures."""
    write_pictures(folder)
    (folder / "rows.json").write_text(json.dumps(rows()), encoding="utf-8")
    return folder


def write_parquet(folder: Path) -> Path:
    """Write two parquet files that hold the pictures."""
    folder.mkdir(parents=True)
    listed = rows()
    for place, row in enumerate(listed):
        at = divmod(place, STEPS)
        row["images"] = {name: {"bytes": png(*at, camera), "path": None} for camera, name in enumerate(CAMERAS)}
    for number, part in enumerate((listed[:8], listed[8:])):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(part), folder / f"{number}.parquet", row_group_size=5)
    return folder


def write_lerobot(folder: Path, *, version: str = "v2.1", video: bool = False) -> Path:
    """Write LeRobot's layout, with pictures in parquet or in videos."""
    (folder / "meta").mkdir(parents=True)
    kind = "video" if video else "image"
    features = {f"observation.images.{name}": {"dtype": kind, "shape": [32, 32, 3]} for name in CAMERAS}
    features |= {"action": {"dtype": "float32", "shape": [5]}, "observation.state": {"dtype": "float32", "shape": [2]}}
    info = {"codebase_version": version, "fps": 10, "chunks_size": 1000, "features": features}
    (folder / "meta/info.json").write_text(json.dumps(info))
    listed = [_lerobot_row(place, row, video=video) for place, row in enumerate(rows())]
    (_write_v2 if version.startswith("v2") else _write_v3)(folder, listed, video=video)
    return folder


def _lerobot_row(place: int, row: dict[str, Any], *, video: bool) -> dict[str, Any]:
    episode, step = divmod(place, STEPS)
    found = {"action": row["action"], "observation.state": row["state"], "timestamp": step / 10, "frame_index": step}
    found |= {"episode_index": episode, "index": place, "task_index": episode % 2}
    if not video:
        found |= {
            f"observation.images.{name}": {"bytes": png(episode, step, camera), "path": f"frame_{step:06}.png"}
            for camera, name in enumerate(CAMERAS)
        }
    return found


def _write_v2(folder: Path, listed: list[dict[str, Any]], *, video: bool) -> None:
    (folder / "data/chunk-000").mkdir(parents=True)
    lines = {"tasks": [{"task_index": number, "task": task} for number, task in enumerate(TASKS)]}
    lines["episodes"] = [{"episode_index": number, "length": STEPS} for number in range(EPISODES)]
    for name, values in lines.items():
        (folder / f"meta/{name}.jsonl").write_text("\n".join(map(json.dumps, values)))
    for episode in range(EPISODES):
        part = listed[episode * STEPS : (episode + 1) * STEPS]
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(part), folder / f"data/chunk-000/episode_{episode:06}.parquet"
        )
        for camera, name in enumerate(CAMERAS if video else ()):
            path = folder / f"videos/chunk-000/observation.images.{name}/episode_{episode:06}.mp4"
            write_video(path, [color(episode, step, camera) for step in range(STEPS)])


def _write_v3(folder: Path, listed: list[dict[str, Any]], *, video: bool) -> None:
    for place in ("data/chunk-000", "meta/episodes/chunk-000"):
        (folder / place).mkdir(parents=True)
    table = pyarrow.Table.from_pylist(
        [{"task_index": number, "__index_level_0__": task} for number, task in enumerate(TASKS)]
    )
    pyarrow.parquet.write_table(table, folder / "meta/tasks.parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(listed), folder / "data/chunk-000/file-000.parquet")
    episodes: list[dict[str, Any]] = []
    for episode in range(EPISODES):
        own: dict[str, Any] = {"episode_index": episode, "length": STEPS}
        for name in CAMERAS if video else ():
            at = f"videos/observation.images.{name}"
            own |= {f"{at}/chunk_index": 0, f"{at}/file_index": 0, f"{at}/from_timestamp": episode * STEPS / 10}
        episodes.append(own)
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(episodes), folder / "meta/episodes/chunk-000/file-000.parquet"
    )
    for camera, name in enumerate(CAMERAS if video else ()):
        frames = [color(episode, step, camera) for episode in range(EPISODES) for step in range(STEPS)]
        write_video(folder / f"videos/observation.images.{name}/chunk-000/file-000.mp4", frames)


def write_video(path: Path, colors: list[tuple[int, int, int]], *, codec: str = "libaom-av1") -> None:
    """Write one frame of each colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, width=32, height=32, pix_fmt="yuv420p")
        frames = [numpy.full((32, 32, 3), color, numpy.uint8) for color in colors]
        for frame in [*map(av.VideoFrame.from_ndarray, frames), None]:
            container.mux(stream.encode(frame))


def digest(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
