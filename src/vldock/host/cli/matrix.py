"""`vldock matrix`: its options, turned into a plan, a run folder, and an exit code."""

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
from vldock.host.cli.options import answering, matrix_options
from vldock.host.containers import cleanup, gpus, terminal
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.matrix import dry_run, runner
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
def matrix_command(ctx: click.Context, /, **given: Any) -> int:
    """Evaluate every model on every benchmark: one container, and one model load, per model and device.

    With several GPUs (or --workers) each takes the next cell when it is free, longest first: docs/use/many-devices.md.
    Results are in outputs/<timestamp>/. Killed or stopped, the same command goes on where it was: finished cells are
    kept. Exit code 0 only if every cell succeeded.

    \b
    Examples:
      vldock matrix --standin --network none --gpus none
      vldock matrix --samples 10 --data ~/LMUData --cache ~/vldock-cache --env-file .env
      vldock matrix --models llava_v1.5_7b --benchmarks POPE,MMStar --samples 100
      vldock matrix --gpus all --dry-run
      vldock matrix --resume outputs/20260101-120000
    """
    if given["resume"] and given["fresh"]:
        raise UsageError("--resume and --fresh", expected="one of the two")
    asked = None if given["resume"] else answering(ctx, given)
    status = docker_client.status()
    if not status.answers:
        raise EnvironmentUnfit(f"no Docker engine answers: {status.problem}", hint="vldock engine up")
    with docker_client.connected() as client:
        if asked is None:
            folder = RunFolder(given["resume"].resolve())
            record = replace(folder.load(), plan=_resumed(ctx, folder, given))
            record = replace(record, where=_where(ctx, given, record.where))
            places = _places(status, record.plan, record.where)
        else:
            plan = _plan(client, status, given, asked)
            where = _where(ctx, given, _usual(status, plan))
            places = _places(status, plan, where)
            found = None if given["fresh"] else _continued(given["outputs"], plan, where)
            if given["dry_run"]:
                return dry_run.show(plan, where, places, found, outputs=given["outputs"].resolve())
            folder, record = found or run_folder.create(
                given["outputs"].resolve(), plan, now=runner.utc_now(), where=where
            )
        if given["dry_run"]:
            return dry_run.show(record.plan, record.where, places, (folder, record), outputs=folder.path.parent)
        return _work(client, folder, record, places, as_json=given["as_json"])


def _where(ctx: click.Context, given: dict[str, Any], before: Placement) -> Placement:
    """Return what the options say, and `before` where they say nothing."""
    names = ("workers", "spread", "data_parallel")
    typed = [name for name in names if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT]
    return replace(before, **{name: given[name] for name in typed})


def _usual(status: docker_client.EngineStatus, plan: RunPlan) -> Placement:
    """Return how a new run is spread where the options say nothing."""
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
    client: Any, status: docker_client.EngineStatus, given: dict[str, Any], asked: inference_options.Engine
) -> RunPlan:
    models = choose_models(given["models"], standin=given["standin"])
    benchmarks = choose_benchmarks(given["benchmarks"])
    chosen, line = gpus.resolve(given["gpus_asked"], status)
    say(line)
    if not given["standin"]:
        for name, lost in (("data", "benchmarks"), ("cache", "weights")):
            if given[name] is None:
                say(f"no --{name}: {lost} are downloaded into the container and lost with it")
    if asked.feature_cache and given["cache"] is None:
        say("--feature-cache without --cache: the features are lost with the container")
    return RunPlan(
        models=models,
        benchmarks=benchmarks,
        samples=given["samples"],
        standin=given["standin"],
        image=given["image"],
        image_id=str(local_images.find(client, given["image"], hint="vldock build").id),
        gpus=chosen,
        data=_absolute(given["data"]),
        cache=_absolute(given["cache"]),
        env_file=_absolute(given["env_file"]),
        network=given["network"],
        user=given["user"] or terminal.caller_user(),
        timeout=given["timeout"],
        prompt=given["prompt"],
        engine=asked.name,
        batch_size=asked.batch_size,
        feature_cache=asked.feature_cache,
        read_only_inputs=given["read_only_inputs"],
    )


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _resumed(ctx: click.Context, folder: RunFolder, given: dict[str, Any]) -> RunPlan:
    typed = [name for name in OF_THE_PLAN if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if typed:
        options = ", ".join(f"--{name.removesuffix('_asked').replace('_', '-')}" for name in typed)
        raise UsageError(
            f"--resume {folder.path} with {options}",
            expected=f"no option that changes the plan in {folder.path / run_folder.RUN_FILE}",
            hint=f"vldock matrix --resume {folder.path}",
        )
    plan = folder.load().plan
    values = {"env_file": _absolute(given["env_file"]), "network": given["network"], "user": given["user"]}
    values["read_only_inputs"] = given["read_only_inputs"] or None
    if ctx.get_parameter_source("feature_cache") is ParameterSource.COMMANDLINE:
        values["feature_cache"] = given["feature_cache"]
        inference_options.choose(plan.engine, str(plan.batch_size or ""), feature_cache=given["feature_cache"])
    return replace(plan, **{name: value for name, value in values.items() if value is not None})


def _continued(outputs: Path, plan: RunPlan, where: Placement) -> tuple[RunFolder, RunRecord] | None:
    found = run_folder.latest_unfinished(outputs.resolve())
    if found is None:
        return None
    folder, record = found
    differences = plan.differences(record.plan)
    if differences:
        say(f"run {folder.name} is unfinished, but is another plan ({'; '.join(differences)}): a new run starts")
        say(f"  it goes on with: vldock matrix --resume {folder.path}")
        return None
    return folder, replace(record, plan=plan, where=where)


def _work(
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
        executor = runner.local_executor(client, plan, folder=folder, run_id=record.run_id)
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
