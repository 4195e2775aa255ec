"""Read a snapshot of the Hub's cache, whose files are symbolic links.

datasets 2.21 with fsspec 2024.5 does not see symbolic links: the folder of a snapshot "doesn't contain any data files".
So the library is shown a face of it, empty files of the same names beside the real README.md, and finds out itself
which file is of which configuration and split; then each name is replaced by the blob it stands for. What it prepares
has the place and name a load from the Hub would have given it, so the next load finds Arrow files.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from vldock.image.offline.cached import Snapshot
from vldock.image.offline.errors import AmbiguousConfiguration, Unreadable
from vldock.image.offline.readers import Request

TABLES = ("parquet", "arrow", "json", "csv", "text")  # formats that are told by their content and need no file name
README = "README.md"


def by_snapshot(snapshot: Snapshot, asked: Request, root: Path) -> Any:
    """Prepare Arrow files of a snapshot in `root`, and read them; raises Unreadable for what is no table."""
    from datasets import load as library

    with tempfile.TemporaryDirectory(prefix="vldock-snapshot-") as folder:
        face = _face(snapshot, Path(folder))
        module = library.LocalDatasetModuleFactoryWithoutScript(str(face)).get_module()
        _require_tables(module.module_path, snapshot)
        configs = module.builder_configs_parameters.builder_configs
        config = _config(asked, [one.name for one in configs], module.builder_configs_parameters.default_config_name)
        for one in configs:
            one._resolve_data_files(base_path=str(face), download_config=library.DownloadConfig())
            one.data_files = _real(one.data_files, face, snapshot.path)
        builder = library.get_dataset_builder_class(module, dataset_name=asked.name.split("/")[-1])(
            cache_dir=str(root),
            dataset_name=asked.name.split("/")[-1],
            repo_id=asked.name,
            config_name=config,
            hash=snapshot.commit,
            info=(module.dataset_infos or {}).get(config),
        )
        builder.download_and_prepare()
        return builder.as_dataset(split=asked.split, in_memory=asked.in_memory)


def _face(snapshot: Snapshot, folder: Path) -> Path:
    for name in snapshot.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if (snapshot.path / README).is_file():
        shutil.copyfile(snapshot.path / README, folder / README)
    return folder.resolve()


def _require_tables(module: str, snapshot: Snapshot) -> None:
    kind = module.rsplit(".", 1)[-1]
    if kind not in TABLES:
        raise Unreadable(
            f"{snapshot.path} is a data set of kind {kind}, whose file names matter; its files are links without them",
            expected=f"one of {', '.join(TABLES)}",
            hint=f"cp -rL {snapshot.path} FOLDER, then datasets.load_dataset('FOLDER')",
        )


def _config(asked: Request, names: list[str], default: str | None) -> str:
    """Return the configuration asked for, the default one, or the only one."""
    if asked.config in names or len(names) == 1 or (default and not asked.config):
        return asked.config or default or names[0]
    raise AmbiguousConfiguration(
        f"{asked.name} has no configuration {asked.config}" if asked.config else f"{asked.name} has {len(names)}",
        expected=f"one of {', '.join(names)}",
        hint=f'load_dataset("{asked.name}", "{names[0]}")',
    )


def _real(found: Any, face: Path, snapshot: Path) -> Any:
    """Return a DataFilesDict of blobs for one of the face's files."""
    from datasets.data_files import DataFilesDict, DataFilesList

    def blob(path: str) -> str:
        return str((snapshot / Path(path).relative_to(face)).resolve())

    return DataFilesDict(
        {split: DataFilesList([blob(path) for path in files], []) for split, files in (found or {}).items()}
    )
