"""Options that several commands share, each declared once."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from vldock.common import hub_cache_layout
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import local as local_images
from vldock.host.util import checkout
from vldock.host.util.console import say
from vldock.host.util.retry import RetryPolicy

Command = Callable[..., Any]
Option = Callable[[Command], Command]

PATH = click.Path(path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
IMAGE_VARIABLE = "VLDOCK_IMAGE"
ARCHIVE_TIME = re.compile(r"\d{8}T\d{6}Z")


def combine(*options: Option) -> Option:
    """Return one decorator that adds these options in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def json_option(text: str = "Print one JSON object to standard output.") -> Option:
    """Return the option --json, a command's parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def user_option(text: str = "UID:GID. Default: yours, so that results are yours.") -> Option:
    """Return the option --user; the default is the command's caller."""
    return click.option("--user", help=text)


def cache_option(text: str = "Folder of weights and caches; kept between runs.", *, hub_itself: bool = False) -> Option:
    """Return --cache, a folder of the host; a Hub cache's parent, or, with `hub_itself`, the Hub cache too."""
    return click.option("--cache", type=PATH, help=text, callback=None if hub_itself else cache_folder)


def cache_folder(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Return the folder of caches as typed; raise UsageError for a Hub cache itself."""
    if value is None or not hub_cache_layout.is_hub_cache(value):
        return value
    own = value.name == hub_cache_layout.HUB_FOLDER
    raise UsageError(
        f"--cache {value} is itself a Hub cache (models--ORG--NAME)",
        expected=f"the folder whose {hub_cache_layout.HUB_FOLDER}/ it is",
        hint=f"--cache {value.absolute().parent}" if own else f"mv {value} FOLDER/huggingface, then --cache FOLDER",
    )


def choose_image(ctx: click.Context, _: click.Parameter, value: str | None, *, needed: bool) -> str:
    """Return the image named by the command or VLDOCK_IMAGE, else the default that is there.

    Raises EnvironmentUnfit where the engine has none and the command needs one.
    """
    if named := ctx.meta.get(IMAGE_VARIABLE) or value:
        return str(named)
    try:
        with docker_client.open_client() as client:
            found, remark = local_images.find_default(client)
    except EnvironmentUnfit:  # no engine answers, which the command reports
        return checkout.IMAGE_TAG
    if remark:
        say(remark)
    if found is None and needed:
        raise EnvironmentUnfit(
            f"there is no image {checkout.IMAGE_TAG} here, and none with the labels of one",
            hint="vldock build; or name one: --image NAME, VLDOCK_IMAGE=NAME",
        )
    return found or checkout.IMAGE_TAG


def image_option(*, needed: bool = True) -> Option:
    """Return the option --image; where the image is `needed`, the command is refused without one."""
    return click.option(
        "--image",
        envvar=IMAGE_VARIABLE,
        callback=partial(choose_image, needed=needed),
        help=f"By name or id. Default: {checkout.IMAGE_TAG}, else the newest by its label. [env: {IMAGE_VARIABLE}]",
    )


def samples(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Return the number of samples; None for 'all'."""
    if value == "all":
        return None
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a whole number of at least 1 nor 'all'", ctx, param)


def archive_time(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the time of a snapshot of Debian's archive as it was typed."""
    if value is not None and not ARCHIVE_TIME.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no time of the archive, such as 20261121T000000Z")
    return value


IMAGE = image_option()
IMAGE_OR_NONE = image_option(needed=False)
IMAGE_ARGUMENT = combine(
    click.option(
        "--image",
        "image_named",
        is_eager=True,
        expose_value=False,
        callback=lambda ctx, _, value: ctx.meta.update({IMAGE_VARIABLE: value}),
        help="The same as IMAGE.",
    ),
    click.argument("image", required=False, envvar=IMAGE_VARIABLE, callback=partial(choose_image, needed=True)),
)
GPUS = click.option("--gpus", "gpus_asked", default="auto", show_default=True, help="GPUs: auto, all, none, or 0,1.")
OUTPUTS = click.option("--outputs", type=PATH, default=Path("outputs"), show_default=True, help="Results go here.")
DATA = click.option("--data", type=PATH, envvar="LMUData", help="Folder of benchmark TSVs. [env: LMUData]")
HUB_CACHE = cache_option("Folder of caches; weights go to its huggingface/.")
LOCKS = click.option("--locks", type=PATH, help="Folder of datasets.json and weights.json. Default: this checkout's.")
JOBS = click.option("--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Files at a time.")
ENV_FILE = click.option("--env-file", type=PATH, help="Mounted read-only at /workspace/.env: tokens, VLDOCK_*, HF_*.")
READ_ONLY_INPUTS = click.option(
    "--read-only-inputs", is_flag=True, help="Mount --data and --cache read-only: a shared store."
)
STANDIN = click.option("--standin", is_flag=True, help="STAND-IN models and data: no weights needed, no real score.")
NETWORK = click.option("--network", help="none: no network at all.")
SAMPLES = click.option(
    "--samples",
    callback=samples,
    metavar="N|all",
    envvar="VLMEVAL_SAMPLE_LIMIT",
    default="all",
    show_default=True,
    help="First N samples of each benchmark. [env: VLMEVAL_SAMPLE_LIMIT]",
)
PUBLIC_KEYS = click.option("--key", "keys", type=PATH, multiple=True, help="Public key; any of several will do.")


def container_options(*, outputs: bool = True) -> Option:
    """Return the options shared by the container commands.

    These are `run`, `shell`, `session start` and, without --outputs, `predict`.
    """
    return combine(
        IMAGE,
        GPUS,
        *([OUTPUTS] if outputs else []),
        DATA,
        cache_option(),
        ENV_FILE,
        READ_ONLY_INPUTS,
        click.option("--env", "-e", "pairs", multiple=True, metavar="NAME=VALUE", help="Set in the container."),
        user_option(),
        STANDIN,
        NETWORK,
    )


build_options = combine(
    click.option("--ca", type=PATH, help="CA bundle for downloads. Default: SSL_CERT_FILE or system."),
    click.option("--index-url", envvar="PIP_INDEX_URL", help="Package index; passed as a secret. [env: PIP_INDEX_URL]"),
)
snapshot_options = combine(
    click.option(
        "--apt-snapshot", metavar="TIME", callback=archive_time, help="OS packages as of then: 20261121T000000Z."
    ),
    click.option("--apt-archive", metavar="URL", help="Another snapshot host than snapshot.debian.org."),
)
registry_options = combine(
    click.option("--plain-http", is_flag=True, help="Speak http, not https, to a registry on another machine."),
    click.option(
        "--attempts",
        type=click.IntRange(1, 50),
        default=RetryPolicy.attempts,
        show_default=True,
        help="Requests to a registry that does not answer, or asks to try later.",
    ),
)
