"""`vldock receipt`: make keys, sign receipts, check them against an image."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from vldock.common.errors import UsageError
from vldock.host.cli import options
from vldock.host.images import inspect as image_inspect
from vldock.host.receipts import check as receipt_check
from vldock.host.receipts import envelope
from vldock.host.receipts import suite as receipt_suite
from vldock.host.receipts.check import Demands
from vldock.host.receipts.statement import CPU_GROUPS, GPU_GROUP, GROUPS
from vldock.host.registry import connection as registry_connection
from vldock.host.registry.reference import Source, parse_remote
from vldock.host.util import checkout
from vldock.host.util.console import print_json, say


@click.group(name="receipt")
def receipt_group() -> None:
    """Sign receipts, show them, and check them against an image without a network.

    \b
    Examples:
      vldock receipt keygen --out ~/.vldock
      vldock receipt check outputs/receipt.json --image vldock:4.37 --key vldock-receipt.pub
    """


@receipt_group.command(name="keygen")
@click.option(
    "--out", "folder", type=options.PATH, required=True, help="Folder for the two files; created where absent."
)
def keygen_command(folder: Path) -> None:
    """Make an Ed25519 key pair.

    Its files are vldock-receipt.key (secret) and vldock-receipt.pub (public). The private key is encrypted
    where VLDOCK_KEY_PASSWORD is set.

    \b
    Examples:
      vldock receipt keygen --out ~/.vldock
    """
    private, public, key_id = envelope.keygen(folder)
    click.echo(f"private {private}\npublic  {public}\nid      {key_id}")


@receipt_group.command(name="sign")
@click.argument("receipt", type=options.PATH)
@click.option("--key", type=options.PATH, required=True, help="Private key.")
@click.option("--out", type=options.PATH, help="File to write. Default: RECEIPT itself.")
def sign_command(receipt: Path, key: Path, out: Path | None) -> None:
    """Sign an unsigned receipt.

    \b
    Examples:
      vldock receipt sign outputs/receipt.json --key ~/.vldock/vldock-receipt.key
    """
    private = envelope.load_private(key)
    unsigned = envelope.load(receipt)
    if unsigned.keys or unsigned.receipt.signing != "unsigned":
        raise UsageError(f"{receipt} says it is signed already", expected="an unsigned receipt", hint="vldock verify")
    sealed = envelope.seal(unsigned.receipt, private)
    envelope.save(sealed, out or receipt)
    click.echo(f"{out or receipt} signed by {sealed.keys[0]}")


@receipt_group.command(name="show")
@click.argument("receipt", type=options.PATH)
@options.json_option()
def show_command(receipt: Path, as_json: bool) -> None:
    """Print a receipt without verifying it.

    `vldock receipt check` verifies it.

    \b
    Examples:
      vldock receipt show outputs/receipt.json
    """
    sealed = envelope.load(receipt)
    if as_json:
        print_json({"verified": False, "keys": sealed.keys, "receipt": asdict(sealed.receipt)})
        return
    values = {
        name: value for name, value in asdict(sealed.receipt).items() if name not in ("image", "groups", "inputs")
    }
    values |= {"config": sealed.receipt.image.config, **asdict(sealed.receipt.inputs)}
    values["signed by"] = ", ".join(sealed.keys) or "nobody"
    for name, value in values.items():
        click.echo(f"{name:<12} {'-' if value is None else value}")
    for layer in sealed.receipt.image.layers:
        click.echo(f"{'layer':<12} {layer}")
    for group in sealed.receipt.groups:
        click.echo(f"{'group':<12} {group}")
    click.echo("not verified: vldock receipt check", err=True)


@receipt_group.command(name="check")
@click.argument("receipt", type=options.PATH)
@click.option("--image", help="An image in the engine. [env: VLDOCK_IMAGE, where none of the three is named]")
@click.option("--registry", help="An image in a registry, HOST/NAME:TAG or @DIGEST; every byte is read.")
@click.option("--tar", type=options.PATH, help="A saved image (docker save), '-' for standard input.")
@options.PUBLIC_KEYS
@click.option(
    "--allow-unsigned", is_flag=True, help="Accept a receipt whose signature is missing or cannot be verified."
)
@click.option("--require-gpu", is_flag=True, help="The gpu group must have passed.")
@click.option("--group", "groups", type=click.Choice(GROUPS), multiple=True, help="Groups that must have passed.")
@click.option("--any-suite", is_flag=True, help="Do not compare the tests and patches with this checkout's.")
@options.registry_options
@options.json_option()
def check_command(
    receipt: Path,
    image: str | None,
    registry: str | None,
    tar: Path | None,
    keys: tuple[Path, ...],
    allow_unsigned: bool,
    require_gpu: bool,
    groups: tuple[str, ...],
    any_suite: bool,
    plain_http: bool,
    attempts: int,
    as_json: bool,
) -> None:
    """Check a receipt: its image, signature, tests and results.

    It must be of this image, unaltered, signed by a known key, made with the tests of this checkout, all passed.

    Exit code 0, or one for each failure: docs/trust/promotion.md. Without --group all CPU groups are required.

    \b
    Examples:
      vldock receipt check receipt.json --image vldock:4.37 --key vldock-receipt.pub
      vldock receipt check receipt.json --tar vldock.tar --key vldock-receipt.pub --require-gpu
    """
    demands = Demands(
        keys=tuple(envelope.load_public(key) for key in keys),
        allow_unsigned=allow_unsigned,
        suite=None if any_suite else receipt_suite.read_inputs(checkout.root()),
        groups=(groups or CPU_GROUPS) + ((GPU_GROUP,) if require_gpu else ()),
    )
    sealed = envelope.load(receipt)
    subject = _subject(image, registry, tar)
    receipt_check.verify_signature(sealed, demands, name=str(receipt))  # before gigabytes are read for it
    identity = image_inspect.read(
        subject, registry_connection.options_from(plain_http=plain_http, attempts=attempts), say=say
    )
    lines = receipt_check.check(sealed, identity, demands, name=str(receipt), image=str(subject))
    if as_json:
        print_json({"good": True, "subject": str(subject), "keys": sealed.keys, "receipt": asdict(sealed.receipt)})
        return
    click.echo("\n".join([f"{receipt} is good for {subject}", *lines]))


def _subject(image: str | None, registry: str | None, tar: Path | None) -> Source:
    if image is None and registry is None and tar is None:
        image = os.environ.get(options.IMAGE_VARIABLE)
    named = [value for value in (image, registry, tar) if value is not None]
    if len(named) != 1:
        raise UsageError(f"{len(named)} images to check against", expected="one of --image, --registry, --tar")
    if image is not None:
        return Source("engine", image)
    if registry is not None:
        return Source("registry", registry, remote=parse_remote(registry))
    return Source("tar", str(tar), path=tar)
