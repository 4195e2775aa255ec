"""A whole promotion or rollback: read the source, plan, and where confirmed, execute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from vldock.common.errors import UsageError
from vldock.host.docker_engine import client as docker_client
from vldock.host.errors import Damaged
from vldock.host.images import archive
from vldock.host.images import copy as image_copy
from vldock.host.images import inspect as image_inspect
from vldock.host.images import local as local_images
from vldock.host.images import remote as remote_images
from vldock.host.images.copy import Traffic
from vldock.host.promotion import execute as promotion_execute
from vldock.host.promotion import plan as promotion_plan
from vldock.host.promotion import rollback as promotion_rollback
from vldock.host.promotion.artifacts import ArtifactStore, FolderArtifacts, RegistryArtifacts
from vldock.host.promotion.execute import Bring, PromotionContext, PromotionOutcome
from vldock.host.promotion.log import LogFile
from vldock.host.promotion.plan import PromotionPlan
from vldock.host.promotion.receipts import PromotionRequest, Subject
from vldock.host.promotion.rollback import Rollback
from vldock.host.receipts.check import Demands
from vldock.host.registry.client import Manifest, Remote
from vldock.host.registry.connection import RegistryOptions
from vldock.host.registry.reference import Repository, Source
from vldock.host.util.console import Say


@dataclass(frozen=True)
class PromotionTarget:
    """Access to registries and the local log.

    `sidecar` stores receipts beside the log, not in the registry.
    """

    registry: RegistryOptions
    log: LogFile
    sidecar: bool
    say: Say


@contextmanager
def open_context(target: Repository, access: PromotionTarget) -> Iterator[PromotionContext]:
    """Yield the context of a promotion to this repository."""
    with access.registry.open(target, say=access.say) as remote:
        store: ArtifactStore = RegistryArtifacts(remote)
        if access.sidecar:
            store = FolderArtifacts(access.log.path.parent)
        yield PromotionContext(remote, store, access.log, access.say)


def promote(
    source: Source,
    request: PromotionRequest,
    access: PromotionTarget,
    *,
    confirm: bool,
    show: Callable[[PromotionPlan], None],
) -> tuple[PromotionPlan, PromotionOutcome | None]:
    """Plan a promotion, `show` the plan, and execute it where `confirm` is set.

    Raises the Refusal that forbids it.
    """
    with ExitStack() as stack:
        context = stack.enter_context(open_context(request.target, access))
        if confirm:
            stack.enter_context(access.log.exclusive())
        origin = _origin(source, access, stack)
        stores = [context.store, *([RegistryArtifacts(origin.remote)] if origin.remote else [])]
        plan = promotion_plan.make(request, origin.subject, target=context.target, stores=stores)
        show(plan)
        if not confirm:
            return plan, None
        return plan, promotion_execute.execute(plan, context, _bring(origin, plan, context))


def rollback(
    target: Repository,
    tag: str,
    demands: Demands,
    access: PromotionTarget,
    *,
    confirm: bool,
    show: Callable[[Rollback], None],
) -> tuple[Rollback, PromotionOutcome | None]:
    """Plan and show a tag's rollback; execute it if confirmed.

    `show` receives the plan; `confirm` allows the execution.
    """
    with open_context(target, access) as context, ExitStack() as stack:
        if confirm:
            stack.enter_context(access.log.exclusive())
        plan = promotion_rollback.make(tag, context, demands)
        show(plan)
        return plan, promotion_rollback.execute(plan, context) if confirm else None


@dataclass(frozen=True)
class Origin:
    """Origin of the image.

    A repository, a saved tar (`source`), or `image` of the engine of `client`.
    """

    subject: Subject
    remote: Remote | None = None
    source: Source | None = None
    client: Any = None
    image: Any = None


def _origin(source: Source, access: PromotionTarget, stack: ExitStack) -> Origin:
    if source.remote is not None:
        remote = stack.enter_context(access.registry.open(source.remote.repository, say=access.say))
        manifest = image_inspect.require_manifest(remote, source.remote)
        return Origin(
            Subject(str(source), remote_images.read_claimed_identity(remote, manifest), manifest), remote=remote
        )
    if source.path is not None:
        if str(source.path) == "-":
            raise UsageError("tar:- can be read only once", expected="tar:FILE, which is read to plan and to send")
        return Origin(Subject(str(source), image_inspect.read(source, access.registry, say=access.say)), source=source)
    client = stack.enter_context(docker_client.open_client())
    image = local_images.find(client, source.text)
    return Origin(Subject(str(source), local_images.read_identity(client, image)), client=client, image=image)


@contextmanager
def _stream(origin: Origin) -> Iterator[IO[bytes]]:
    if origin.source is not None and origin.source.path is not None:
        with archive.open_saved(origin.source.path) as stream:
            yield stream
        return
    yield local_images.save(origin.client, origin.image)


def _bring(origin: Origin, plan: PromotionPlan, context: PromotionContext) -> Bring:
    def bring() -> tuple[Manifest, Traffic]:
        manifest = plan.manifest
        if origin.remote is not None and manifest is not None:
            return manifest, image_copy.copy(origin.remote, context.target, manifest, say=context.say)
        if manifest is not None and all(context.target.has(blob) for blob in manifest.blobs):
            return manifest, Traffic(kept=len(manifest.blobs))
        context.say(f"packing {origin.subject.name}")
        with _stream(origin) as stream:
            made, _, traffic = image_copy.pack(stream, context.target, name=origin.subject.name, say=context.say)
        if manifest is not None and made.digest != manifest.digest:
            raise Damaged(
                f"{context.target.repository}@{manifest.digest} lacks blobs, "
                f"and packed here the image is {made.digest}",
                expected="the blobs that were pushed first",
                hint="remove its tags from the registry and promote again, or copy it from another registry",
            )
        return made, traffic

    return bring
