"""The base image: Debian bookworm, pulled by digest or bootstrapped without a registry.

Where no registry answers, mmdebstrap makes it from a Debian archive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vldock.common.errors import EnvironmentUnfit, InputRefused, VldockError
from vldock.host.build import bootstrap
from vldock.host.errors import error_text
from vldock.host.util.console import Say

Way = Literal["any", "registry", "bootstrap"]
RECIPE_LABEL = "vldock.base.recipe"


@dataclass(frozen=True)
class BaseRecipe:
    """locks/base.json: the image by digest, its local tag, and mmdebstrap's arguments.

    Both ways, pulling and bootstrapping, end in the same local tag.
    """

    image: str
    suite: str
    tag: str
    platform: str
    connect_seconds: float
    source_date_epoch: int
    mmdebstrap: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> BaseRecipe:
        """Read the recipe; raises InputRefused where the file is not one."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            recipe = cls(**{**raw, "mmdebstrap": tuple(raw["mmdebstrap"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputRefused(f"{path} is no base recipe: {error}", hint=f"git checkout -- {path}") from error
        if "@sha256:" not in recipe.image:
            raise InputRefused(f"{path} names {recipe.image}", expected="an image by digest, NAME:TAG@sha256:...")
        return recipe

    @property
    def digest(self) -> str:
        """The registry digest, sha256:..."""
        return self.image.partition("@")[2]

    @property
    def fingerprint(self) -> str:
        """sha256 of all inputs of a bootstrapped base; its label."""
        decides = [self.suite, self.platform, self.source_date_epoch, *self.mmdebstrap, *bootstrap.CHANGES]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


@dataclass(frozen=True)
class Base:
    """Base image in the engine: tag, id, origin, and whether new.

    `reference` is its name in a build.
    """

    tag: str
    image_id: str
    origin: Literal["registry", "bootstrap"]
    fresh: bool
    reference: str

    def __str__(self) -> str:
        how = {"registry": "pulled by digest", "bootstrap": "made by mmdebstrap"}[self.origin]
        return f"base: {self.tag} ({how}{'' if self.fresh else ', already there'}) {self.image_id[:19]}"


def find(client: Any, recipe: BaseRecipe, *, way: Way = "any") -> Base | None:
    """Return the engine's base image made by this recipe, or None."""
    from docker.errors import ImageNotFound

    try:
        image = client.images.get(recipe.tag)
    except ImageNotFound:
        return None
    attrs = image.attrs
    pulled = any(name.endswith(recipe.digest) for name in attrs.get("RepoDigests") or ())
    labels = attrs.get("Config", {}).get("Labels") or {}
    if pulled and way != "bootstrap":
        return Base(recipe.tag, image.id, "registry", fresh=False, reference=recipe.image)
    if labels.get(RECIPE_LABEL) == recipe.fingerprint and way != "registry":
        return Base(recipe.tag, image.id, "bootstrap", fresh=False, reference=recipe.tag)
    return None


def ensure(client: Any, recipe: BaseRecipe, *, way: Way = "any", rebuild: bool = False, say: Say) -> Base:
    """Return the base image; pull or bootstrap it where the engine has none.

    A registry is tried first unless `way` says otherwise.

    Raises EnvironmentUnfit when no way worked, with the cause of each.
    """
    there = None if rebuild else find(client, recipe, way=way)
    if there is not None:
        return there
    causes = []
    if way in ("any", "registry"):
        try:
            return pull(client, recipe, say=say)
        except EnvironmentUnfit as error:
            if way == "registry":
                raise
            causes.append(error.message)
            say(f"base: {error.message}; making it with mmdebstrap")
    try:
        return _bootstrap(client, recipe, say=say)
    except VldockError as error:
        causes.append(error.message)
        raise EnvironmentUnfit(
            "the base image cannot be had: " + "; ".join(causes),
            expected=f"{recipe.image}, or Debian {recipe.suite} by mmdebstrap",
            hint=error.hint or f"docker load an image and name it: docker tag IMAGE {recipe.tag}",
        ) from error


def pull(client: Any, recipe: BaseRecipe, *, say: Say) -> Base:
    """Pull the image by digest and tag it locally.

    Gives up after `connect_seconds` of silence; the download itself may take longer.
    Raises EnvironmentUnfit when it does not arrive.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    say(f"base: pulling {recipe.image}")
    try:
        for event in _pull_events(client.api, recipe):
            if "error" in event or "message" in event:
                raise EnvironmentUnfit(f"no registry gave {recipe.image}: {event.get('error') or event['message']}")
            if event.get("status", "").startswith(("Pull complete", "Digest")):
                say(f"  {event.get('id', '')} {event['status']}")
        image = client.images.get(recipe.image)
        image.tag(recipe.tag)
    except (DockerException, RequestException) as error:
        raise EnvironmentUnfit(f"no registry gave {recipe.image}: {error_text(error)}") from error
    return Base(recipe.tag, image.id, "registry", fresh=True, reference=recipe.image)


def _pull_events(api: Any, recipe: BaseRecipe) -> Iterator[dict[str, Any]]:
    """Yield the engine's progress events of a pull.

    The SDK's own pull waits without limit. The limit of a request counts from byte to byte: it bounds the silence, not
    the download.
    """
    params = {"fromImage": recipe.image, "platform": recipe.platform}
    url = f"{api.base_url}/v{api.api_version}/images/create"
    with api.post(url, params=params, stream=True, timeout=recipe.connect_seconds) as response:
        for line in response.iter_lines():
            yield json.loads(line)


def _bootstrap(client: Any, recipe: BaseRecipe, *, say: Say) -> Base:
    labels = {
        RECIPE_LABEL: recipe.fingerprint,
        "vldock.base.origin": "mmdebstrap",
        "vldock.base.suite": recipe.suite,
    }
    image_id = bootstrap.make(
        client,
        tag=recipe.tag,
        suite=recipe.suite,
        options=recipe.mmdebstrap,
        epoch=recipe.source_date_epoch,
        labels=labels,
        say=say,
    )
    return Base(recipe.tag, image_id, "bootstrap", fresh=True, reference=recipe.tag)
