"""Identity of a cell's run.

A JSON beside the predictions, compared before any reuse.
Equal identity: the run continues from the existing predictions. Another limit, code, model, data, engine, device or
stand-in flag: every file of the cell is moved to set-aside/<UTC time>/ and one line names the differing field. Another
judge only: the predictions remain, the evaluation's files are moved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import write_json
from vldock.image.vlmeval_hooks.files import atomic
from vldock.image.vlmeval_hooks.files.output_folder import is_standin
from vldock.image.vlmeval_hooks.process import ranks
from vldock.image.vlmeval_hooks.provenance import set_aside, specs

FIELDS = ("limit", "standin", "model", "data", "prompt", "engine", "device", "code")
# `--mode eval` runs no model: it may score predictions that another engine, device or an earlier code made.
FIELDS_OF_EVAL = ("limit", "standin", "model", "data", "prompt")
NOT_YET = ("revision", "weights", "sha256")  # unknown before a model was downloaded, or written by an earlier version
SCORES = ("_acc", "_score", "_acc_all")


def path_of(folder: Path, model: str, benchmark: str) -> Path:
    """Return the path of a cell's identity."""
    return folder / f"{model}_{benchmark}_identity.json"


def read(path: Path) -> dict[str, Any] | None:
    """Return the identity in `path`, or None if missing or not JSON.

    Files without one belong to no run.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def differences(old: Mapping[str, Any], new: Mapping[str, Any], fields: tuple[str, ...] = FIELDS) -> list[str]:
    """Return one phrase per differing field of two identities.

    A value not known yet equals any.
    """
    phrases = []
    for name in fields:
        before, now = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(now, dict):
            keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
            keys = [key for key in keys if not key.startswith(NOT_YET) or None not in (before.get(key), now.get(key))]
            phrases += [f"{name}.{key} was {_short(before.get(key))}, is {_short(now.get(key))}" for key in keys]
        elif before != now:
            phrases.append(f"{name} was {_short(before)}, is {_short(now)}")
    return phrases


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 60 else text[:57] + "..."


def make(model: str, dataset: Any, *, args: Any, judge: str | None, factory: Any) -> dict[str, Any]:
    """Return the identity of the cell about to run."""
    from vldock.image.answering import options
    from vldock.image.vlmeval_hooks.files import table_check, text_changes
    from vldock.image.vlmeval_hooks.process import placement
    from vldock.image.vlmeval_hooks.provenance import prompts  # brings torch along

    spec = specs.model_spec(factory)
    return {
        "schema": 1,
        "model_name": model,
        "benchmark": dataset.dataset_name,
        "limit": args.limit,
        "standin": is_standin(),
        "model": spec,
        "data": {**specs.data_spec(dataset), **text_changes.identity_facts(dataset)},
        "prompt": prompts.template(),
        "engine": options.describe(),
        "device": placement.describe(spec["class"]),
        "code": specs.code_spec(),
        "judge": judge or None,
        "samples": len(dataset.data),
        "findings": table_check.count_findings(dataset),
    }


def settle_files(folder: str, model: str, dataset: Any, *, args: Any, judge: str | None, factory: Any) -> None:
    """Set aside files of another run, and write this run's identity.

    Both concern `folder`.
    Raises InputRefused, before a file is moved, where the model's remote code is not admitted, and with --mode eval
    when the predictions that are there belong to another run.
    """
    from vldock.image.remote_code import admission
    from vldock.image.vlmeval_hooks.provenance import passport

    passport.begin()
    if args.mode != "eval":
        admission.require_admitted(specs.repositories(factory))
    root, benchmark = Path(folder), str(dataset.dataset_name)
    record = path_of(root, model, benchmark)
    new, old = make(model, dataset, args=args, judge=judge, factory=factory), read(record)
    atomic.remove_stale(root)
    files = _files(root, model, benchmark)
    if args.mode == "eval":
        _settle_eval(new, old, model=model, benchmark=benchmark, files=files)
    elif files:
        reasons = differences(old, new) if old else ["they carry no identity"]
        if reasons:
            _move([*files, *([record] if record.exists() else [])], root, f"{model} x {benchmark}", "; ".join(reasons))
            old = None
    if old and old.get("judge") != new["judge"]:
        by_products = _by_products(root, model, benchmark)
        _move(by_products, root, f"{model} x {benchmark}", *differences(old, new, ("judge",)))
    _move_torn(root, model, benchmark)
    ranks.gather_answers(root, model, benchmark)
    kept = {key: old[key] for key in ("evaluated",) if old and key in old}
    if args.mode == "eval" and old:
        kept |= {key: old[key] for key in ("engine", "device", "code") if key in old}
    write_json(record, {**new, **kept})


def _settle_eval(
    new: dict[str, Any], old: dict[str, Any] | None, *, model: str, benchmark: str, files: list[Path]
) -> None:
    if files and old is None:
        print(f"{model} x {benchmark}: the predictions carry no identity; they are scored as they are", flush=True)
    reasons = differences(old, new, FIELDS_OF_EVAL) if files and old else []
    if reasons:
        raise InputRefused(
            f"the predictions belong to another run: {'; '.join(reasons)}",
            hint="give --mode eval the limit, model and data of the run that made them, or use --mode all",
        )


def _files(root: Path, model: str, benchmark: str) -> list[Path]:
    from vlmeval.dataset import SUPPORTED_DATASETS

    files = set_aside.files_of(root, model, benchmark, benchmarks=SUPPORTED_DATASETS)
    return [path for path in files if path != path_of(root, model, benchmark)]


def _by_products(root: Path, model: str, benchmark: str) -> list[Path]:
    """Return the files written by an evaluation.

    No predictions, no intermediate files of inference.
    """
    stem = f"{model}_{benchmark}"
    inference = ("_checkpoint.pkl", "_PREV.pkl", "_structs.pkl", "_prompts.jsonl")
    files = [path for path in _files(root, model, benchmark) if path.name.startswith(f"{stem}_")]
    return [path for path in files if not path.name.endswith(inference)]


def _move(files: list[Path], root: Path, cell: str, reason: str) -> None:
    if files:
        target = set_aside.move(files, root)
        print(f"SET ASIDE {cell}: {reason}; {len(files)} earlier files are now in {target}", flush=True)


def _move_torn(root: Path, model: str, benchmark: str) -> None:
    """Move away unreadable prediction files.

    They result from a kill during a write.
    """
    from vlmeval.smp import load

    by_products = set(_by_products(root, model, benchmark))
    for path in _files(root, model, benchmark):
        if path in by_products or path.name.endswith("_prompts.jsonl"):
            continue  # reading the notes skips a torn line
        try:
            load(str(path))
        except Exception as error:  # noqa: BLE001  whatever a torn pickle or workbook raises
            _move([path], root, f"{model} x {benchmark}", f"{path.name} cannot be read ({type(error).__name__})")


def begin_evaluation(folder: str, model: str, benchmark: str, judge: str | None) -> None:
    """Remove the files of an earlier evaluation.

    No old score is then read.
    The answers of a paid judge are kept as long as the predictions are the same.
    """
    from vlmeval.smp.file import _prediction_table, get_pred_file_path

    root = Path(folder)
    record = path_of(root, model, benchmark)
    current = read(record) or {}
    table = _prediction_table(get_pred_file_path(folder, model, benchmark))
    digest = specs.predictions_digest(table)
    same = current.get("evaluated") == digest and judge not in (None, "", "exact_matching")
    for path in _by_products(root, model, benchmark):
        if not same or path.stem.endswith(SCORES):
            path.unlink()
    write_json(record, {**current, "evaluated": digest})
