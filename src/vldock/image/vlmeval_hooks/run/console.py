"""main() of the patched run.py.

Preflight, run, one line per cell, exit code.
Exit codes: 0 every cell ended as asked; 1 at least one failed; 2 a name, an option or a variable is wrong (nothing was
loaded); 3 the machine cannot do it; 4 a table is refused; 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Any

from vldock.common import standin_choice
from vldock.common.errors import EvaluationFailed, InputRefused, UsageError, VldockError
from vldock.image.startup.data_root import lmu_data_root
from vldock.image.vlmeval_hooks.files import lmudata, table_check
from vldock.image.vlmeval_hooks.files.output_folder import STANDIN, is_standin
from vldock.image.vlmeval_hooks.models import build as model_build
from vldock.image.vlmeval_hooks.models import requirements
from vldock.image.vlmeval_hooks.process import error_lines, ranks
from vldock.image.vlmeval_hooks.run import cell_outcomes, judge, unknown_names
from vldock.image.vlmeval_hooks.run.cell_outcomes import CellOutcome

Run = Callable[[Any], None]


def run_main(parse_args: Callable[[], Any], local: Run, api: Run) -> int:
    """Parse, check, run and report; return the exit code."""
    try:
        return run_task(parse_args(), local, api)
    except VldockError as error:
        _error(error_lines.one_line(error))
        return error.exit_code
    except KeyboardInterrupt:
        _error("interrupted; the predictions made so far are kept, the same command continues")
        return 130


def run_task(args: Any, local: Run, api: Run) -> int:
    """Check and run parsed arguments; return the exit code.

    Prints the outcome of each cell.
    """
    cell_outcomes.forget()
    model_build.forget_failures()
    wrong = preflight(args)
    for line in wrong:
        _error(line)
    if wrong:
        return UsageError.exit_code
    if refused := table_check.check_run(args):
        for line in refused:
            _error(line)
        return InputRefused.exit_code
    asked_models, benchmarks = list(args.model or []), list(args.data or [])
    try:
        (api if args.api_mode else local)(args)
    except VldockError:
        raise
    except Exception as error:
        logging.getLogger("vlmeval.run").exception("the run broke off", extra={"file_only": True})
        raise EvaluationFailed(f"the run broke off: {error_lines.one_line(error)}") from error
    if not asked_models:  # --config: run_local_mode has filled them in
        asked_models, benchmarks = list(args.model), list(args.data)
    return report(cell_outcomes.collect_all(_as_list(asked_models), benchmarks))


def _as_list(models: list[str]) -> list[str]:
    return [name.replace("/", "--") if "/" in name else name for name in models]


def preflight(args: Any) -> list[str]:
    """Return one line per flaw of the command line.

    Raises for a fault of the machine or a key.
    """
    if args.config is not None:
        return []
    if not args.data or not (args.model or args.base_url):
        return ["--data and --model are needed (or --config); run.py --help shows all options"]
    judge.require_key(args)
    wrong = [] if args.base_url else unknown_names.unknown_models(args.model)
    wrong += unknown_names.unknown_benchmarks(args.data)
    if not (wrong or args.base_url or args.mode == "eval"):
        requirements.require_memory(args.model)
        if is_standin():
            standin_choice.require(unknown_names.find_hub_models(args.model))
    if not wrong:
        lmudata.require_writable(lmu_data_root())
    return wrong


def report(cells: Iterable[CellOutcome]) -> int:
    """Print one line for each cell and return the exit code.

    Scores go to standard output, failures to standard error.
    """
    if ranks.rank() > 0:  # rank 0 reports
        return 0
    mark, cells = f" [{STANDIN}]" if is_standin() else "", list(cells)
    sys.stderr.flush()
    for cell in cells:
        if cell.error is None:
            print(_line(cell) + mark, flush=True)
    for cell in cells:
        if cell.error is not None:
            print(
                f"FAILED {cell.model} x {cell.benchmark}: {error_lines.flat(cell.error)}", file=sys.stderr, flush=True
            )
    if mark:
        print(f"{STANDIN}: made with stand-in weights; no number above is a score of the model", flush=True)
    return EvaluationFailed.exit_code if any(cell.error for cell in cells) else 0


def _line(cell: CellOutcome) -> str:
    name, count = f"{cell.model} x {cell.benchmark}", f"{cell.predictions} samples"
    if cell.unscored:
        return f"PREDICTED {name}: {count}, not scored ({cell.unscored})"
    scores = ", ".join(f"{metric} = {value:.6g}" for metric, value in cell.metrics.items())
    return f"SCORE {name}: {scores} ({count}{f', judge {cell.judge}' if cell.judge else ''})"


def _error(line: str) -> None:
    print(f"error: {line}", file=sys.stderr, flush=True)
