"""`vldock matrix`: from options to plan, run folder and exit code."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vldock.common import inference_options
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host import doctor
from vldock.host.cli.matrix.options import choose_engine, matrix_options
from vldock.host.containers import cleanup, gpus, terminal
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.matrix import dry_run, job_container, runner
from vldock.host.matrix import progress as matrix_progress
from vldock.host.runs import devices
from vldock.host.runs import folder as run_folder
from vldock.host.runs.devices import Machine, Placement
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan, choose_benchmarks, choose_models
from vldock.host.runs.record import RunRecord
from vldock.host.util.console import console, print_json, say

OF_THE_PLAN = (
    "image",
    "samples",
    "models",
    "benchmarks",
    "gpus_asked",
    "data",
    "cache",
    "standin",
    "prompt",
    "engine",
    "batch_size",
)


@click.command(name="matrix")
@matrix_options
@click.pass_context
def matrix_command(ctx: click.Context, /, **options: Any) -> int:
    """Evaluate every model on every benchmark.

    There is one container, and one model load, for each model and device.

    With several GPUs (or --workers) each takes the next cell when it is free, longest first: docs/use/many-devices.md.
    Results are in outputs/<timestamp>/. Killed or stopped, the same command resumes: finished cells are kept. Exit
    code 0 only if every cell succeeded.

    \b
    Examples:
      vldock matrix --standin --network none --gpus none
      vldock matrix --samples 10 --data ~/LMUData --cache ~/vldock-cache --env-file .env
      vldock matrix --models llava_v1.5_7b --benchmarks POPE,MMStar --samples 100
      vldock matrix --standin --models all
      vldock matrix --gpus all --dry-run
      vldock matrix --resume outputs/20260101-120000
    """
    if options["resume"] and options["fresh"]:
        raise UsageError("--resume and --fresh", expected="one of the two")
    engine = None if options["resume"] else choose_engine(ctx, options)
    status = docker_client.require_engine()
    outputs: Path = options["outputs"].resolve()
    found: tuple[RunFolder, RunRecord] | None
    with docker_client.open_client() as client:
        if engine is None:
            folder = RunFolder(options["resume"].resolve())
            plan = _resumed(ctx, folder, options)
            record = replace(folder.load(), plan=plan)
            where = _placement(ctx, options, record.where)
            places = _places(status, plan, where)
            found, outputs = (folder, replace(record, where=where)), folder.path.parent
        else:
            plan = _plan(client, status, options, engine)
            where = _placement(ctx, options, _default_placement(status, plan))
            places = _places(status, plan, where)
            found = None if options["fresh"] else _continued(outputs, plan, where)
        if options["dry_run"]:
            click.echo("\n".join(dry_run.lines(plan, where, places, found, outputs=outputs)))
            return 0
        folder, record = found or run_folder.create(outputs, plan, now=runner.utc_now(), where=where)
        return _run(client, folder, record, places, as_json=options["as_json"])


def _placement(ctx: click.Context, options: dict[str, Any], before: Placement) -> Placement:
    """Return the placement of the options that were typed, else that of `before`."""
    names = ("workers", "spread", "data_parallel")
    typed = [name for name in names if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    return replace(before, **{name: options[name] for name in typed})


def _default_placement(status: docker_client.EngineStatus, plan: RunPlan) -> Placement:
    """Return the default placement of a new run."""
    if not (plan.standin and plan.gpus == "none"):
        return Placement()
    return Placement(workers=devices.workers_for_standins(len(plan.cells), _machine(status)))


def _machine(status: docker_client.EngineStatus) -> Machine:
    return Machine(status.cores or 1, status.memory)


def _places(status: docker_client.EngineStatus, plan: RunPlan, where: Placement) -> tuple[devices.Device, ...]:
    places = devices.find_devices(plan.gpus, where, _machine(status))
    if len(places) > 1:
        say(f"devices: {', '.join(place.name for place in places)}")
    return places


def _plan(
    client: Any, status: docker_client.EngineStatus, options: dict[str, Any], engine: inference_options.Engine
) -> RunPlan:
    models = choose_models(options["models"], standin=options["standin"])
    benchmarks = choose_benchmarks(options["benchmarks"])
    chosen, lines = gpus.choose_for(
        models, options["gpus_asked"], status, standin=options["standin"], cache=options["cache"]
    )
    say("\n".join(lines))
    if not options["standin"]:
        for name, lost in (("data", "benchmarks"), ("cache", "weights")):
            if options[name] is None:
                say(f"no --{name}: {lost} are downloaded into the container and lost with it")
    if engine.feature_cache and options["cache"] is None:
        say("--feature-cache without --cache: the features are lost with the container")
    return RunPlan(
        models=models,
        benchmarks=benchmarks,
        samples=options["samples"],
        standin=options["standin"],
        image=options["image"],
        image_id=str(local_images.find(client, options["image"], hint="vldock build").id),
        gpus=chosen,
        data=_absolute(options["data"]),
        cache=_absolute(options["cache"]),
        env_file=_absolute(options["env_file"]),
        network=options["network"],
        user=options["user"] or terminal.caller_user(),
        timeout=options["timeout"],
        prompt=options["prompt"],
        engine=engine.name,
        batch_size=engine.batch_size,
        feature_cache=engine.feature_cache,
        read_only_inputs=options["read_only_inputs"],
    )


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _resumed(ctx: click.Context, folder: RunFolder, options: dict[str, Any]) -> RunPlan:
    typed = [name for name in OF_THE_PLAN if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if typed:
        names = ", ".join(f"--{name.removesuffix('_asked').replace('_', '-')}" for name in typed)
        raise UsageError(
            f"--resume {folder.path} with {names}",
            expected=f"no option that changes the plan in {folder.path / run_folder.RUN_FILE}",
            hint=f"vldock matrix --resume {folder.path}",
        )
    plan = folder.load().plan
    values = {"env_file": _absolute(options["env_file"]), "network": options["network"], "user": options["user"]}
    values["read_only_inputs"] = options["read_only_inputs"] or None
    if ctx.get_parameter_source("feature_cache") is ParameterSource.COMMANDLINE:
        values["feature_cache"] = options["feature_cache"]
        inference_options.choose(plan.engine, str(plan.batch_size or ""), feature_cache=options["feature_cache"])
    return replace(plan, **{name: value for name, value in values.items() if value is not None})


def _continued(outputs: Path, plan: RunPlan, where: Placement) -> tuple[RunFolder, RunRecord] | None:
    found = run_folder.latest_unfinished(outputs)
    if found is None:
        return None
    folder, record = found
    differences = plan.differences(record.plan)
    if differences:
        say(f"run {folder.name} is unfinished, but is another plan ({'; '.join(differences)}): a new run starts")
        say(f"  it goes on with: vldock matrix --resume {folder.path}")
        return None
    return folder, replace(record, plan=plan, where=where)


def _run(
    client: Any, folder: RunFolder, record: RunRecord, places: tuple[devices.Device, ...], *, as_json: bool
) -> int:
    plan = record.plan
    with run_folder.lock_run(folder):
        for name in cleanup.remove(client, run_id=record.run_id):
            say(f"container {name} was left by a killed run: removed")
        if record.sessions:
            say(f"continuing {folder.path}: {len(folder.finished_cells(plan))} of {len(plan.cells)} cells are kept")
        else:
            say(f"run: {folder.path}")
        facts = partial(doctor.read_image_facts, client, plan.image_id, user=plan.user, run_id=record.run_id)
        executor = job_container.local_executor(client, plan, folder=folder, run_id=record.run_id)
        screen = console(stderr=as_json)
        try:
            with matrix_progress.display(screen, total=len(plan.cells), standin=plan.standin) as show:
                outcome = runner.execute(folder, record, executor=executor, places=places, show=show, facts=facts)
        except (KeyboardInterrupt, EnvironmentUnfit) as error:
            say(f"stopped: {len(folder.finished_cells(plan))} of {len(plan.cells)} cells are kept")
            say(f"hint: vldock matrix --resume {folder.path}")
            if isinstance(error, EnvironmentUnfit):
                raise
            return 130
    if as_json:
        print_json(outcome.as_json())
    else:
        screen.print(matrix_progress.table(outcome))
        screen.print("\n".join(matrix_progress.closing_lines(outcome)), soft_wrap=True)
    return 0 if outcome.succeeded == outcome.total else 1
