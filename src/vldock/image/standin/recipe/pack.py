"""Pack the cases that share a beginning into one sequence, so that an image is read once for all its questions.

The beginning (system text and images) stands first; each question with its answer follows as a branch that sees the
beginning and itself, not the other branches, at the positions it would have alone. The result equals one forward per
case, at a fraction of the cost.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from vldock.image.standin.recipe.cases import IMAGE, Album, Case

MAX_BRANCHES = 5
SIDE = 24


@dataclass(frozen=True, slots=True)
class Group:
    """Cases with the same beginning: `head` ends with the last image (or is the first token)."""

    head: tuple[int, ...]
    scene: str
    look: str
    cases: tuple[Case, ...]


def split_head(ids: Sequence[int]) -> int:
    """Return how many ids the beginning has."""
    return max((k for k, token in enumerate(ids) if token == IMAGE), default=0) + 1


def group_cases(cases: Iterable[Case]) -> list[Group]:
    """Group cases by beginning, at most MAX_BRANCHES together; equal cases count once."""
    found: dict[tuple[tuple[int, ...], str, str], list[Case]] = defaultdict(list)
    for case in dict.fromkeys(cases):
        head = case.ids[: split_head(case.ids)]
        found[head, case.scene if IMAGE in head else "", case.look].append(case)
    groups = []
    for (head, scene, look), members in found.items():
        for start in range(0, len(members), MAX_BRANCHES):
            groups.append(Group(head, scene, look, tuple(members[start : start + MAX_BRANCHES])))
    return groups


def choose_patches(stride: int) -> Tensor:
    """Return one patch, chosen at random, of every `stride` by `stride` cell of an image's 24 by 24 patches."""
    cells = torch.arange(0, SIDE, stride)
    across, down = torch.randint(stride, (2, len(cells), len(cells)))
    return ((cells[:, None] + down) * SIDE + cells[None] + across).flatten()


def embed_head(model: Any, album: Album, group: Group, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return embeddings (length, width), positions (length) and attention weights (length) of the beginning.

    With a `stride` above 1 only one patch of each stride by stride stays, at its own position. Those that stay
    stand for those that left: their weight is the logarithm of how many each one stands for.
    """
    table, projector = model.get_model().embed_tokens, model.get_model().mm_projector
    parts, positions, weights, at, image = [], [], [], 0, 0
    for token in group.head:
        if token != IMAGE:
            parts.append(table(torch.tensor([token])))
            positions.append(torch.tensor([at]))
            weights.append(torch.zeros(1))
            at += 1
            continue
        features = album.features[group.scene, group.look][image]
        count = features.shape[0]
        chosen = torch.arange(count) if stride == 1 else choose_patches(stride)
        parts.append(projector(features[chosen]))
        positions.append(at + chosen)
        weights.append(torch.full((len(chosen),), math.log(count / len(chosen))))
        at, image = at + count, image + 1
    return torch.cat(parts), torch.cat(positions), torch.cat(weights)


@dataclass(frozen=True, slots=True)
class Packed:
    """One packed group: `where` are the places (answer tokens) after which the ids `wanted` must come.

    `owner` is the case each of them belongs to.
    """

    embeddings: Tensor
    positions: Tensor
    mask: Tensor
    where: Tensor
    wanted: Tensor
    owner: Tensor


def pack(model: Any, album: Album, group: Group, stride: int) -> Packed:
    """Return the packed sequence of `group`; mask is float (length, length), added to the scores."""
    table = model.get_model().embed_tokens
    head, positions, weights = embed_head(model, album, group, stride)
    size, offset = head.shape[0], int(positions[-1]) + 1
    tokens, spots, marks, where, wanted, owner = [], [positions], [torch.full((size,), -1)], [], [], []
    at = size
    for number, case in enumerate(group.cases):
        rest = case.ids[len(group.head) :]
        branch = torch.tensor(rest + case.target[:-1])
        tokens.append(branch)
        spots.append(offset + torch.arange(len(branch)))
        marks.append(torch.full((len(branch),), number))
        where.append(at + len(rest) - 1 + torch.arange(len(case.target)))
        wanted.append(torch.tensor(case.target))
        owner.append(torch.full((len(case.target),), number))
        at += len(branch)
    mark = torch.cat(marks)
    order = torch.arange(at)
    seen = (order[:, None] >= order[None]) & ((mark[None] == -1) | (mark[None] == mark[:, None]))
    mask = torch.cat((weights, torch.zeros(at - size))).expand(at, at).masked_fill(~seen, float("-inf"))
    embeddings = torch.cat((head, table(torch.cat(tokens))))
    return Packed(embeddings, torch.cat(spots), mask, torch.cat(where), torch.cat(wanted), torch.cat(owner))


def lengthen_rotary(model: Any) -> None:
    """Let the rotary tables reach any position, not only the sequence's length: left-out patches leave gaps."""
    for layer in model.model.layers:
        rotary = layer.self_attn.rotary_emb
        rotary.forward = partial(_all_positions, rotary)


def _all_positions(rotary: Any, values: Tensor, seq_len: int = 0) -> tuple[Tensor, Tensor]:
    whole: tuple[Tensor, Tensor] = type(rotary).forward(rotary, values, seq_len=max(seq_len, 2048))
    return whole


def logits(model: Any, packs: Sequence[Packed]) -> Tensor:
    """Return the logits (answer tokens of all packs, vocabulary), through the model's own layers, as one batch.

    The model must have been through `lengthen_rotary`.
    """
    length = max(len(pack.positions) for pack in packs)
    hidden = torch.stack([pad(pack.embeddings, (0, 0, 0, length - len(pack.positions))) for pack in packs])
    positions = torch.stack([pad(pack.positions, (0, length - len(pack.positions))) for pack in packs])
    mask = torch.full((len(packs), 1, length, length), float("-inf"))
    mask.diagonal(dim1=2, dim2=3).zero_()  # what only fills up sees itself, for a softmax over nothing is no number
    for row, packed in enumerate(packs):
        size = len(packed.positions)
        mask[row, 0, :size, :size] = packed.mask
    for layer in model.model.layers:
        hidden = layer(hidden, attention_mask=mask, position_ids=positions)[0]
    answers = torch.cat([hidden[row, packed.where] for row, packed in enumerate(packs)])
    return torch.as_tensor(model.lm_head(model.model.norm(answers)))
