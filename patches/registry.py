"""All patches in order of application, for apply_all.py, each patch and the tests."""

from __future__ import annotations

import importlib

from patchlib import Patch

ORDER = (
    "patch_llava_builder",
    "patch_llava_vision_tower",
    "patch_llava_workspace",
    "patch_llava_markers",
    "patch_llava_small_pictures",
    "patch_vlmeval_tls",
    "patch_vlmeval_dotenv",
    "patch_vlmeval_commit",
    "patch_vlmeval_cuda_devices",
    "patch_vlmeval_llava_device",
    "patch_vlmeval_remote_code_device",
    "patch_vlmeval_minicpm_start_token",
    "patch_vlmeval_minicpm_picture_size",
    "patch_vlmeval_data_root",
    "patch_vlmeval_tsv_integrity",
    "patch_vlmeval_table_look",
    "patch_vlmeval_markers",
    "patch_vlmeval_pred_root",
    "patch_vlmeval_sample_limit",
    "patch_vlmeval_judge",
    "patch_vlmeval_secrets",
    "patch_vlmeval_identity",
    "patch_vlmeval_passport",
    "patch_vlmeval_atomic_files",
    "patch_vlmeval_engine",
    "patch_vlmeval_circular_tmp",
    "patch_vlmeval_pools",
    "patch_vlmeval_read_once",
    "patch_vlmeval_text_cells",
    "patch_vlmeval_partial_sets",
    "patch_vlmeval_ccocr",
    "patch_vlmeval_quiet_import",
    "patch_vlmeval_gloo",
    "patch_vlmeval_lazy_imports",
    "patch_vlmeval_exit_code",
)


def _load(name: str) -> Patch:
    patch = importlib.import_module(name).PATCH
    if not isinstance(patch, Patch) or name != f"patch_{patch.name}":
        raise TypeError(f"{name}.py must define PATCH, a Patch named {name.removeprefix('patch_')!r}")
    return patch


ALL: tuple[Patch, ...] = tuple(_load(name) for name in ORDER)
