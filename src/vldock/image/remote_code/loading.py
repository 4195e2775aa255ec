"""Hooks in transformers.dynamic_module_utils, through which all remote code is loaded.

Source: transformers 4.37.2: get_class_from_dynamic_module() copies a file and its relative imports with
get_cached_module_file(), which calls check_imports(), then imports the copy with get_class_in_module().
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from vldock.image.process import import_hook

MODULE = "transformers.dynamic_module_utils"
_installed: list[str] = []


def install() -> None:
    """Hook the loading of remote code, now or when transformers is imported; once."""
    if not _installed:
        _installed.append(MODULE)
        import_hook.call(_installed, _hook)


def _hook(module: ModuleType) -> None:
    from vldock.image.remote_code import admission, modules_folder, required_imports

    upstream: Any = module
    copy, load, find = upstream.get_cached_module_file, upstream.get_class_in_module, upstream.get_imports
    calls: list[tuple[str, list[Path]]] = []  # in progress, outermost first: repository, its files so far
    sources: dict[str, tuple[str, Path]] = {}  # {folder of copies: repository, folder of the originals}

    def get_cached_module_file(repo: Any, module_file: str, *args: Any, **kwargs: Any) -> str:
        upstream.HF_MODULES_CACHE = str(modules_folder.process_folder())
        calls.append((str(repo), []))
        try:
            copied: str = copy(repo, module_file, *args, **kwargs)
            source, folder = calls[-1][1][0].parent, Path(copied).parent
            sources[str(folder)] = (str(repo), source)
            if Path(str(repo)).is_dir():
                admission.complete_copies(str(repo), source, Path(upstream.HF_MODULES_CACHE, folder))
        finally:
            calls.pop()
        return copied

    def check_imports(filename: Any) -> list[str]:
        path, (repo, files) = Path(filename), calls[-1]
        files.append(path)
        admission.admit(repo, path)
        required_imports.check_imports(path, required_imports.required_imports(path, find))
        relative: list[str] = upstream.get_relative_imports(filename)
        return relative

    def get_class_in_module(class_name: str, module_path: str) -> Any:
        folder = str(Path(module_path).parent)
        admission.require_copies(*sources[folder], Path(upstream.HF_MODULES_CACHE, folder))
        modules_folder.claim_imports(Path(upstream.HF_MODULES_CACHE))
        return load(class_name, module_path)

    # "A new version of the following files was downloaded": said of every copy from the cache
    upstream.logger.addFilter(lambda record: not record.getMessage().startswith("A new version of the following"))
    upstream.get_cached_module_file = get_cached_module_file
    upstream.check_imports = check_imports
    upstream.get_class_in_module = get_class_in_module
