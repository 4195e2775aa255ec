"""`vldock report` and `vldock compare`: reports of one run, differences of two."""

from __future__ import annotations

from pathlib import Path

import click

from vldock.host.cli import options
from vldock.host.reports import compare
from vldock.host.reports import write as report_write
from vldock.host.reports.sample_selection import PER_CELL
from vldock.host.runs.folder import RunFolder
from vldock.host.util.console import console, print_json, say, size_text

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)


@click.command(name="report")
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option(
    "--open-samples",
    type=click.IntRange(min=0),
    default=PER_CELL,
    show_default=True,
    help="Samples of each cell shown.",
)
@options.json_option("Print scores, intervals and sizes as one JSON object.")
def report_command(folder: Path, open_samples: int, as_json: bool) -> int:
    """Write a run's EVALUATION_REPORT.md and report.html again, from the files on disk.

    report.html is one file without any request: scores with 95 % intervals, published scores, failures with their last
    log lines, samples with their images. `vldock matrix` writes it too.

    \b
    Examples:
      vldock report outputs/20260101-120000
      vldock report outputs/20260101-120000 --open-samples 50
    """
    found = report_write.rewrite_reports(RunFolder(folder), per_cell=open_samples)
    values = found.as_json()
    if as_json:
        print_json(values)
        return 0
    for remark in found.selection.remarks:
        say(remark)
    if found.selection.left_out or found.selection.pictures_left_out:
        say(
            f"left out for their size: {found.selection.left_out} samples, {found.selection.pictures_left_out} pictures"
        )
    click.echo(f"report: {values['report']}")
    click.echo(f"to look at: {values['page']} ({size_text(values['bytes'])}, {values['samples']} samples)")
    return 0


@click.command(name="compare")
@click.argument("first", type=FOLDER, metavar="A")
@click.argument("second", type=FOLDER, metavar="B")
@options.json_option("Print pairs, flips and figures as one JSON object.")
@click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the flips as one HTML file."
)
def compare_command(first: Path, second: Path, as_json: bool, page: Path | None) -> int:
    """Compare two runs, or two cells, sample by sample.

    Which verdicts flipped, and is that more than chance?

    Samples are paired by index where question, options and answer are the same; the others are left out and counted.
    Exit code 0: no verdict flipped; 1: at least one did (or, where VLMEvalKit records no verdicts, the score differs).

    \b
    Examples:
      vldock compare outputs/20260101-120000 outputs/20260201-120000
      vldock compare outputs/RUN/llava_v1.5_7b/POPE outputs/RUN/llava_v1.5_13b/POPE --html flips.html
    """
    found = compare.compare(first, second)
    if page is not None:
        say(f"page: {compare.write_page(found, page)}")
    if as_json:
        print_json(found.as_json())
    else:
        screen = console()
        screen.print(compare.table(found))
        for pair in found.pairs:
            for note in pair.notes:
                say(f"{pair.model} x {pair.benchmark}: {note}")
        for line in found.unpaired:
            say(f"not compared: {line}")
        click.echo(found.closing)
    return 1 if found.differs else 0
