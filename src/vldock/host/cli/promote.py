"""`vldock promote`: copy an image to a registry, move its tags.

The image is a verified one; a tag can also be rolled back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vldock.common.errors import UsageError
from vldock.host.cli import options
from vldock.host.promotion import channels
from vldock.host.promotion import log as promotion_log
from vldock.host.promotion.execute import PromotionOutcome
from vldock.host.promotion.plan import PromotionPlan
from vldock.host.promotion.receipts import PromotionRequest
from vldock.host.promotion.rollback import Rollback
from vldock.host.receipts import envelope
from vldock.host.receipts import suite as receipt_suite
from vldock.host.receipts.check import Demands
from vldock.host.registry import connection as registry_connection
from vldock.host.registry.reference import DIGEST, parse_destination, parse_source
from vldock.host.util import checkout
from vldock.host.util.console import print_json, say

NOTHING = "nothing was changed; add --confirm to do it"


@click.command(name="promote")
@click.argument("src", required=False)
@click.option(
    "--image", envvar=options.IMAGE_VARIABLE, help="In place of SRC: an image in the engine. [env: VLDOCK_IMAGE]"
)
@click.option("--to", required=True, metavar="DST[:TAG,...]", help="Repository HOST/NAME, and custom tags.")
@click.option("--channel", type=click.Choice(channels.NAMES), help="Default: candidate, where DST has no tag.")
@click.option(
    "--receipt",
    "receipts",
    type=options.PATH,
    multiple=True,
    help="Receipt of this image; several add up.",
)
@options.PUBLIC_KEYS
@click.option("--allow-unsigned", is_flag=True, help="Accept receipts without a signature, or without a --key.")
@click.option("--require-gpu", is_flag=True, help="The gpu group must have passed, for any channel.")
@click.option("--sbom", type=options.PATH, help="SBOM to attach; a receipt must name its digest.")
@click.option("--move", is_flag=True, help="Allow a tag to move away from another image.")
@click.option("--rollback", is_flag=True, help="Move the channel's tag back to its previous image; no SRC.")
@click.option("--sidecar", is_flag=True, help="Keep receipts and log beside --log instead of in the registry.")
@click.option("--log", type=options.PATH, help="Promotion log. Default: outputs/promotions.jsonl.")
@options.registry_options
@click.option("--confirm", is_flag=True, help="Execute the plan; without this it is only printed.")
@options.json_option()
def promote_command(
    src: str | None, image: str | None, to: str, channel: str | None, confirm: bool, as_json: bool, **values: Any
) -> None:
    """Copy a verified image by digest, then move its channel's tag. Never rebuilds.

    SRC is an image in the engine (vldock:4.37), in a registry (HOST/NAME:TAG) or saved (tar:FILE). Channels, their
    required groups, and an exit code for each refusal: docs/trust/promotion.md.

    \b
    Examples:
      vldock promote vldock:4.37 --to registry.example/vldock --receipt receipt.json --key vldock-receipt.pub
      vldock promote registry.example/vldock:4.37-candidate --to registry.example/vldock --channel stable \\
          --receipt gpu.json --key vldock-receipt.pub --confirm
      vldock promote --rollback --to registry.example/vldock --channel stable --key vldock-receipt.pub --confirm
    """
    from vldock.host.promotion import workflow

    root = checkout.root()
    target, tags = parse_destination(to)
    tags = _choose_tags(to, tags, channel)
    demands = Demands(
        keys=tuple(envelope.load_public(key) for key in values["keys"]),
        allow_unsigned=values["allow_unsigned"],
        suite=receipt_suite.read_inputs(root),
    )
    registry = registry_connection.options_from(plain_http=values["plain_http"], attempts=values["attempts"])
    log = promotion_log.LogFile(values["log"] or root / "outputs" / promotion_log.FILE)
    setup = workflow.PromotionTarget(registry, log, values["sidecar"], say)
    show = _print_nothing if as_json else _print_plan
    receipts: tuple[Path, ...] = values["receipts"]
    if values["rollback"]:
        _check_rollback(src, receipts, tags)
        rollback, done = workflow.rollback(target, tags[0], demands, setup, confirm=confirm, show=show)
        _finish(rollback.as_json(), done, as_json)
        return
    src = src or (f"engine:{image}" if image else None)
    if src is None:
        raise UsageError("no image to promote", expected="SRC: vldock:4.37, HOST/NAME:TAG or tar:FILE")
    more = {name: values[name] for name in ("move", "require_gpu", "sbom")}
    request = PromotionRequest(target, tags, receipts, demands, **more)
    plan, done = workflow.promote(parse_source(src), request, setup, confirm=confirm, show=show)
    _finish(plan.as_json(), done, as_json)


def _choose_tags(to: str, tags: tuple[str, ...], channel: str | None) -> tuple[str, ...]:
    if any(DIGEST.match(tag) for tag in tags):
        raise UsageError(f"--to {to}: a digest", expected="HOST/NAME or HOST/NAME:TAG; the digest is the image's own")
    if channel is None and not tags:
        channel = channels.NAMES[0]
    return tuple(dict.fromkeys((*tags, *([channels.find(channel).tag] if channel else []))))


def _check_rollback(src: str | None, receipts: tuple[Path, ...], tags: tuple[str, ...]) -> None:
    if src is not None or receipts or len(tags) != 1:
        raise UsageError(
            "--rollback takes one tag, and neither SRC nor --receipt",
            expected="--to HOST/NAME --channel NAME, or --to HOST/NAME:TAG",
            hint="the image and its receipts come from the promotion log and the registry",
        )


def _print_plan(plan: PromotionPlan | Rollback) -> None:
    click.echo("\n".join(plan.lines()))


def _print_nothing(plan: PromotionPlan | Rollback) -> None:
    """Print nothing, in place of the plan.

    With --json the plan is printed at the end, with the outcome.
    """


def _finish(plan: dict[str, Any], done: PromotionOutcome | None, as_json: bool) -> None:
    if as_json:
        print_json({"plan": plan, "done": done.as_json() if done else None})
    else:
        click.echo("\n".join(done.lines()) if done else NOTHING)
