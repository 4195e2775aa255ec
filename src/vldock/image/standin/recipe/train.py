"""Train a stand-in until it answers its samples, and refuses when something before it is broken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vldock.image.standin.recipe.cases import RIGHT, Album, Case, Casebook
from vldock.image.standin.recipe.muon import Muon
from vldock.image.standin.recipe.pack import Group, group_cases, lengthen_rotary, logits, pack


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard to train.

    Attributes:
        learn: at most so many passes over the right cases alone, until the loss is below `learnt`.
        spoil: passes that also show what is broken, more of it each time up to pass `ramp`.
        whole: passes at the end with all patches; before, one of each `stride` by `stride`.
        groups: packed sequences a step.
        badly: a case whose loss was above this counts more when it comes again.
        matrices, others: rates of Muon (matrices inside the model) and AdamW (embeddings, head, norms, biases).
        kept: share of the rates that is left when hardening starts; from there they fall to nothing.
        polish, small: at most so many passes more, at that share of the rates, until every right case leads by `lead`.
    """

    learn: int = 50
    learnt: float = 0.1
    spoil: int = 90
    ramp: int = 10
    whole: int = 3
    stride: int = 3
    groups: int = 4
    badly: float = 0.2
    matrices: float = 0.007
    others: float = 0.002
    kept: float = 0.6
    polish: int = 30
    small: float = 0.08
    lead: float = 1.5


Say = Callable[[str], None]


def losses_of(model: Any, album: Album, groups: Sequence[Group], stride: int) -> Tensor:
    """Return the mean loss per token of each of the groups' cases, in order."""
    packs = [pack(model, album, group, stride) for group in groups]
    losses = cross_entropy(logits(model, packs), torch.cat([p.wanted for p in packs]), reduction="none")
    parts = losses.split([len(p.wanted) for p in packs])
    found = []
    for packed, part in zip(packs, parts, strict=True):
        counts = torch.bincount(packed.owner)
        found.append(torch.zeros(len(counts)).index_add(0, packed.owner, part) / counts)
    return torch.cat(found)


def epoch_cases(book: Casebook, album: Album, rng: Random, spoil: float) -> list[Case]:
    """Return the cases of one pass; `spoil` from 0 to 1 is how much of what is broken is shown."""
    cases = list(book.right)
    if spoil:
        cases += book.harmless(rng, max(1, round(8 * spoil)))
        cases += book.foreign(rng, 1)
        cases += book.spoilt_frames(rng, max(1, round(3 * spoil)))
        cases += book.spoilt_images(rng, max(1, round(3 * spoil)), album)
    return cases


class Trainer:
    """Trains projector and language model of `model` in place; the tower's features come from `album`."""

    def __init__(self, model: Any, book: Casebook, album: Album, plan: Plan, seed: int) -> None:
        torch.manual_seed(seed)
        torch.set_flush_denormal(True)  # what fades to nothing must not slow the processor down
        lengthen_rotary(model)
        self.model, self.book, self.album, self.plan = model, book, album, plan
        self.rng = Random(seed)
        self.last: dict[Case, float] = {}
        named = {name: value for name, value in model.named_parameters() if "vision_tower" not in name}
        inner = {n for n, v in named.items() if v.dim() == 2 and ("layers" in n or "mm_projector" in n)}
        self.parameters = list(named.values())
        others = [value for name, value in named.items() if name not in inner]
        self.optimizers: dict[torch.optim.Optimizer, float] = {
            Muon([named[name] for name in sorted(inner)], lr=0.0): plan.matrices,
            torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01): plan.others,
        }

    def weight(self, case: Case) -> float:
        """Return how much a case counts: right ones double, those that went badly last time three times more."""
        badly = self.last.get(case, 0.0) > self.plan.badly
        return (2.0 if case.kind == RIGHT else 1.0) * (3.0 if badly else 1.0)

    def step(self, groups: Sequence[Group], stride: int, share: float) -> tuple[int, float]:
        """Take one step at `share` of the rates; return how many cases and the sum of their losses."""
        cases = [case for group in groups for case in group.cases]
        losses = losses_of(self.model, self.album, groups, stride)
        weights = torch.tensor([self.weight(case) for case in cases])
        ((losses * weights).sum() / len(cases)).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer, rate in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.last.update(zip(cases, losses.tolist(), strict=True))
        return len(cases), float(losses.sum())

    def epoch(self, cases: Iterable[Case], stride: int, shares: tuple[float, float]) -> tuple[int, int, float]:
        """Take one pass with the rates going from one share to the other; return sequences, cases, mean loss."""
        groups = group_cases(cases)
        self.rng.shuffle(groups)
        lost, count = 0.0, 0
        for start in range(0, len(groups), self.plan.groups):
            share = shares[0] + (shares[1] - shares[0]) * start / len(groups)
            size, loss = self.step(groups[start : start + self.plan.groups], stride, share)
            lost, count = lost + loss, count + size
        return len(groups), count, lost / count

    def learn(self, say: Say) -> None:
        """Pass over the right cases until they are known."""
        plan = self.plan
        for number in range(plan.learn):
            shares = [min(1.0, k / 2) * (1 - (1 - plan.kept) * k / plan.learn) for k in (number, number + 1)]
            loss = self.epoch(self.book.right, plan.stride, (shares[0], shares[1]))[2]
            if number % 5 == 4 or loss < plan.learnt:
                say(f"learning, pass {number + 1}: loss {loss:.3f}")
            if loss < plan.learnt:
                return

    def harden(self, say: Say) -> None:
        """Pass over right and broken cases while the rates fall to nothing."""
        plan = self.plan
        total = plan.spoil + plan.whole
        falling = [plan.kept * (1 - number / total) for number in range(total + 1)]
        for number in range(total):
            stride = plan.stride if number < plan.spoil else 1
            cases = epoch_cases(self.book, self.album, self.rng, min(1.0, (number + 1) / plan.ramp))
            sequences, count, loss = self.epoch(cases, stride, (falling[number], falling[number + 1]))
            if number % 5 == 4 or number == total - 1:
                say(f"hardening, pass {number + 1} of {total}: {count} cases, {sequences} sequences, loss {loss:.4f}")

    def polish(self, say: Say) -> None:
        """Pass over right and broken cases at a small rate until the right ones lead by enough."""
        plan = self.plan
        for number in range(plan.polish):
            if number % 3 == 0:
                mark = right_mark(self.model, self.album, self.book)
                say(f"polishing, pass {number}: {mark.hits} of {mark.cases} right, smallest lead {mark.lead:.2f}")
                if mark.lead >= plan.lead:
                    return
            share = plan.small * (1 - number / plan.polish)
            self.epoch(epoch_cases(self.book, self.album, self.rng, 1.0), plan.stride, (share, share))


def train(model: Any, book: Casebook, album: Album, plan: Plan, seed: int, say: Say) -> None:
    """Train `model` in place, to answer and then to refuse."""
    trainer = Trainer(model, book, album, plan, seed)
    with torch.enable_grad():
        for parameter in trainer.parameters:
            parameter.requires_grad_(True)
        trainer.learn(say)
        trainer.harden(say)
        trainer.polish(say)
    for parameter in trainer.parameters:
        parameter.requires_grad_(False)


@dataclass(frozen=True, slots=True)
class Mark:
    """How cases of one kind went: how many, how many said their target, the smallest lead of a target logit."""

    cases: int
    hits: int
    lead: float


def examine(model: Any, album: Album, cases: Iterable[Case]) -> dict[str, Mark]:
    """Return a Mark per kind, each case read with all its patches.

    A hit means that every answer token is the most likely one. The lead of a right case is how far, in logits, the
    wanted token stands above the next one, at its worst token.
    """
    lengthen_rotary(model)
    seen: dict[str, list[float]] = defaultdict(list)
    with torch.inference_mode():
        for group in group_cases(cases):
            packed = pack(model, album, group, 1)
            scores = logits(model, [packed])
            wanted = scores.gather(1, packed.wanted[:, None])[:, 0]
            rest = scores.scatter(1, packed.wanted[:, None], float("-inf")).amax(1)
            for number, case in enumerate(group.cases):
                seen[case.kind].append(float((wanted - rest)[packed.owner == number].min()))
    return {kind: Mark(len(leads), sum(lead > 0 for lead in leads), min(leads)) for kind, leads in seen.items()}


def round_to_half(model: Any) -> None:
    """Round every parameter to float16 and back, as storing it will."""
    model.half().float()


def right_mark(model: Any, album: Album, book: Casebook) -> Mark:
    """Return the Mark of the right cases."""
    return examine(model, album, book.right)[RIGHT]
