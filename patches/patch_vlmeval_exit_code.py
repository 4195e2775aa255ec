"""VLMEvalKit: run.py exits with 0 only if every cell has a trustworthy score."""

from __future__ import annotations

import sys

import patchcli
from originals import VLMEVAL
from patchlib import Edit, Patch

EDITS = {
    "vlmeval/run.py": (
        Edit(
            """\
    rows = collect_run_benchmark_report(run_dir)
    if not rows:
""",
            """\
    cell_outcomes.record_run(run_dir)
    rows = collect_run_benchmark_report(run_dir)
    if not rows:
""",
        ),
        Edit(
            """\
logger = get_logger(__name__)


def _format_fail_rate""",
            """\
from vldock.image.vlmeval_hooks.process import error_lines
from vldock.image.vlmeval_hooks.run import cell_outcomes, console

logger = get_logger(__name__)


def _format_fail_rate""",
        ),
        Edit(
            """\
                logger.exception(f'Model {model_name} x Dataset {dataset_name} combination failed: {e}, '
                                 'skipping this combination.')
""",
            "                error_lines.log_failure(logger, model_name, dataset_name, e)\n",
        ),
        Edit(
            "                        error_message=str(e),\n",
            "                        error_message=error_lines.one_line(e),\n",
        ),
        Edit(
            """\
def main():
    args = parse_args()
    if args.api_mode:
        run_api_mode(args)
    else:
        run_local_mode(args)

def run_task(args):
    if args.api_mode:
        run_api_mode(args)
    else:
        run_local_mode(args)
""",
            """\
def main() -> int:
    return console.run_main(parse_args, run_local_mode, run_api_mode)


def run_task(args) -> int:
    return console.run_task(args, run_local_mode, run_api_mode)
""",
        ),
        Edit(
            """\
    load_env()
    main()
""",
            """\
    load_env()
    sys.exit(main())
""",
        ),
    ),
    "vlmeval/smp/log.py": (
        Edit(
            "        console_handler.setFormatter(formatter)\n",
            """\
        from vldock.image.vlmeval_hooks.process import error_lines
        console_handler.setFormatter(error_lines.ConsoleFormatter(formatter._fmt, formatter.datefmt))
        console_handler.addFilter(error_lines.keep_on_console)
""",
        ),
    ),
    "vlmeval/inference.py": (
        Edit(
            "    model = supported_VLM[model_name](**kwargs) if isinstance(model, str) else model\n",
            """\
    from vldock.image.vlmeval_hooks.models import build as model_build
    model = model_build.build(supported_VLM, model_name, kwargs) if isinstance(model, str) else model
""",
        ),
        # SKIP_ERR writes the shorter text, and its failures are to be tried again as well
        Edit(
            "FAIL_MSG = 'Failed to obtain answer via API.'\n",
            "FAIL_MSG = 'Failed to obtain answer'  # of an API, or skipped\n",
        ),
    ),
}

PATCH = Patch(
    name="vlmeval_exit_code",
    package=VLMEVAL,
    reason=(
        "run.py ends with 0 after a missing TSV, an unknown name, a model that cannot be loaded, a failed evaluation"
    ),
    upstream="open-compass/VLMEvalKit #505 #510 #1125: run.py",
    edits=EDITS,
    verifier="verify_vlmeval.py",
)

if __name__ == "__main__":
    sys.exit(patchcli.main(PATCH))
