"""A test bed for promotions: keys, saved images, receipts, a registry in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from support import receipts, saved_image
from support.registries.fake_registry import HOST, FakeRegistry
from support.saved_image import SavedImage
from vldock.host.promotion import channels, workflow
from vldock.host.promotion.execute import PromotionOutcome
from vldock.host.promotion.log import Entry, LogFile, parse
from vldock.host.promotion.plan import PromotionPlan
from vldock.host.promotion.receipts import PromotionRequest
from vldock.host.receipts import envelope
from vldock.host.receipts.check import Demands
from vldock.host.receipts.statement import GroupResult
from vldock.host.registry.client import Remote
from vldock.host.registry.reference import Repository, parse_source
from vldock.host.util.console import Say, silent

NAME = "team/vldock"
CANDIDATE, STABLE, RELEASE = (channel.tag for channel in channels.CHANNELS)
FIXED = channels.immutable_tag(saved_image.LOCK)


class FakeConnection:
    """A connection to the registry in memory; see registry.connection.RegistryOptions."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.registry = registry

    @contextmanager
    def open(self, repository: Repository, *, say: Say) -> Iterator[Remote]:
        """Yield a client of a repository."""
        yield self.registry.remote(repository.name)


class PromotionTestbed:
    """Everything a promotion needs, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = FakeRegistry()
        self.private, self.public, _ = envelope.keygen(folder / "keys")
        self.log = LogFile(folder / "log" / "promotions.jsonl")
        self.demands = Demands(keys=(envelope.load_public(self.public),), suite=receipts.suite())
        self.sidecar = False

    def image(self, seed: int = 1, **options: Any) -> SavedImage:
        """Return a saved image; each seed makes a different one."""
        return saved_image.save(self.folder / f"image-{seed}.tar", seed=seed, **options)

    def receipt(self, image: SavedImage, groups: Sequence[GroupResult] | None = None, **changes: Any) -> Path:
        """Write a signed receipt of an image and return its path."""
        path = self.folder / f"receipt-{len(list(self.folder.glob('receipt-*')))}.json"
        changes = {"groups": tuple(groups or receipts.groups()), **changes}
        receipts.sealed(path, image.identity, key=self.private, **changes)
        return path

    def request(
        self, *receipt: Path, tags: Sequence[str] = (CANDIDATE,), name: str = NAME, **changes: Any
    ) -> PromotionRequest:
        """Return a promotion request as the command line makes it."""
        return replace(PromotionRequest(Repository(HOST, name), tuple(tags), receipt, self.demands), **changes)

    def target(self) -> workflow.PromotionTarget:
        """Return the registry, log and output of a promotion."""
        return workflow.PromotionTarget(FakeConnection(self.registry), self.log, self.sidecar, silent)  # type: ignore[arg-type]

    def promote(
        self, src: SavedImage | str, request: PromotionRequest, *, confirm: bool = True
    ) -> tuple[PromotionPlan, PromotionOutcome | None]:
        """Promote a saved image, or one in the registry."""
        text = f"tar:{src.path}" if isinstance(src, SavedImage) else src
        return workflow.promote(parse_source(text), request, self.target(), confirm=confirm, show=lambda plan: None)

    def rollback(self, tag: str = CANDIDATE) -> PromotionOutcome | None:
        """Roll a tag back."""
        where = Repository(HOST, NAME)
        return workflow.rollback(where, tag, self.demands, self.target(), confirm=True, show=lambda plan: None)[1]

    def tags(self, name: str = NAME) -> dict[str, str]:
        """Return the tags that name images, and their digests."""
        state = self.registry.state(name)
        return {tag: digest for tag, digest in state.items() if tag != "promotions" and not tag.startswith("sha256-")}

    def entries(self) -> list[Entry]:
        """Return the log in the registry."""
        digest = self.registry.tags[NAME, "promotions"]
        content = json.loads(self.registry.manifests[NAME, digest][0])
        return parse(self.registry.blobs[NAME, content["layers"][0]["digest"]], name="log")
