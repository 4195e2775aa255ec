"""Reader of a snapshot in the Hub's cache.

The snapshot's files are symbolic links.
datasets 2.21 with fsspec 2024.5 does not follow symbolic links: a snapshot's folder "doesn't contain any data files".
So the library gets a facade, empty files of the same names beside the real README.md, and assigns files to
configurations and splits itself; then each name is replaced by its blob. The prepared files have the path and name of a
load from the Hub, so the next load finds Arrow files.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.image.offline import streams
from vldock.image.offline.cached import Snapshot
from vldock.image.offline.copy_size import ArrowCopy, measure, parquet_rows
from vldock.image.offline.errors import AmbiguousConfiguration, PartlyCached, Unreadable
from vldock.image.offline.readers import Request

TABLES = ("parquet", "arrow", "json", "csv", "text")  # formats whose file names carry no data
README = "README.md"


@dataclass(frozen=True)
class Reader:
    """The library's builder of one snapshot, its kind of files, and the files of each split."""

    builder: Any
    kind: str
    files: Mapping[str, tuple[Path, ...]]

    def measure_copy(self, folder: Path) -> ArrowCopy:
        """Measure the Arrow files that `prepare` makes: those of all splits."""
        files = [file for files in self.files.values() for file in files]
        return measure(files, self.kind, folder, declared=self.builder.info.dataset_size or 0)

    def prepare(self, request: Request) -> Any:
        """Make the Arrow files, and read them."""
        self.builder.download_and_prepare()
        return self.builder.as_dataset(split=request.split, in_memory=request.in_memory)

    def stream(self, request: Request) -> Any:
        """Return a stream of the files themselves; nothing is made."""
        rows = {split: parquet_rows(files) for split, files in self.files.items()} if self.kind == "parquet" else None
        return streams.of_builder(self.builder, request.split, rows)


def open_snapshot(snapshot: Snapshot, request: Request, root: Path | None) -> Reader:
    """Return the reader of a snapshot; its Arrow files go to `root`, None where it is only streamed.

    Raises Unreadable for a snapshot of anything but tables, PartlyCached for a split it does not have.
    """
    from datasets import load as library

    with tempfile.TemporaryDirectory(prefix="vldock-snapshot-") as folder:
        face = _face(snapshot, Path(folder))
        module = library.LocalDatasetModuleFactoryWithoutScript(str(face)).get_module()
        kind = _require_tables(module.module_path, snapshot)
        configs = module.builder_configs_parameters.builder_configs
        config = _config(request, [one.name for one in configs], module.builder_configs_parameters.default_config_name)
        for one in configs:
            one._resolve_data_files(base_path=str(face), download_config=library.DownloadConfig())
            one.data_files = _real(one.data_files, face, snapshot.path)
        builder = library.get_dataset_builder_class(module, dataset_name=request.name.split("/")[-1])(
            cache_dir=str(root or folder),
            dataset_name=request.name.split("/")[-1],
            repo_id=request.name,
            config_name=config,
            hash=snapshot.commit,
            info=(module.dataset_infos or {}).get(config),
        )
    files = {str(split): tuple(map(Path, paths)) for split, paths in (builder.config.data_files or {}).items()}
    if absent := [split for split in request.splits if split not in files]:
        raise PartlyCached(
            f"{request.name} has no split {absent[0]} in {snapshot.path}",
            expected=f"one of {', '.join(files)}",
            hint=f'load_dataset("{request.name}", split="{next(iter(files), "train")}")',
        )
    return Reader(builder, kind, files)


def _face(snapshot: Snapshot, folder: Path) -> Path:
    for name in snapshot.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if (snapshot.path / README).is_file():
        shutil.copyfile(snapshot.path / README, folder / README)
    return folder.resolve()


def _require_tables(module: str, snapshot: Snapshot) -> str:
    """Return the kind of a snapshot's files."""
    kind = module.rsplit(".", 1)[-1]
    if kind not in TABLES:
        raise Unreadable(
            f"{snapshot.path} is a data set of kind {kind}, whose file names matter; its files are links without them",
            expected=f"one of {', '.join(TABLES)}",
            hint=f"cp -rL {snapshot.path} FOLDER, then datasets.load_dataset('FOLDER')",
        )
    return kind


def _config(request: Request, names: list[str], default: str | None) -> str:
    """Return the requested configuration, the default one, or the only one."""
    if request.config in names or len(names) == 1 or (default and not request.config):
        return request.config or default or names[0]
    raise AmbiguousConfiguration(
        f"{request.name} has no configuration {request.config}"
        if request.config
        else f"{request.name} has {len(names)}",
        expected=f"one of {', '.join(names)}",
        hint=f'load_dataset("{request.name}", "{names[0]}")',
    )


def _real(found: Any, face: Path, snapshot: Path) -> Any:
    """Return a DataFilesDict of blobs for one of the facade's files."""
    from datasets.data_files import DataFilesDict, DataFilesList

    def blob(path: str) -> str:
        return str((snapshot / Path(path).relative_to(face)).resolve())

    return DataFilesDict(
        {split: DataFilesList([blob(path) for path in files], []) for split, files in (found or {}).items()}
    )
