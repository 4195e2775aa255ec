"""The base image: pulled by digest, bootstrapped without a registry, left alone where present."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound
from support.paths import ROOT

from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.host.build import base_image, bootstrap
from vldock.host.build.base_image import BaseRecipe
from vldock.host.util.process import Result


@pytest.fixture
def recipe() -> BaseRecipe:
    """The recipe of this checkout."""
    return BaseRecipe.load(ROOT / "locks" / "base.json")


class FakeAnswer:
    """The engine's answer to a pull, line by line."""

    def __init__(self, *lines: dict[str, str]) -> None:
        self.lines = lines

    def __enter__(self) -> FakeAnswer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def iter_lines(self) -> list[bytes]:
        """Return the lines."""
        return [json.dumps(line).encode() for line in self.lines]


class FakeEngine:
    """An engine with a registry that refuses or answers.

    Images are a mapping from name to attributes.
    """

    def __init__(self, images: dict[str, dict[str, Any]], *, gives: bool = False) -> None:
        self.pulled: list[str] = []
        self.limits: list[float] = []
        self.known, self.gives = images, gives
        self.images = SimpleNamespace(get=self.get)
        self.api = SimpleNamespace(post=self.post, base_url="http+docker://localhost", api_version="1.41")

    def get(self, name: str) -> Any:
        """Return an image."""
        if name not in self.known:
            raise ImageNotFound(name)
        tag = self.known.__setitem__
        return SimpleNamespace(
            id="sha256:" + "a" * 64, attrs=self.known[name], tag=lambda new: tag(new, self.known[name])
        )

    def post(self, url: str, *, params: dict[str, str], timeout: float, **_: object) -> FakeAnswer:
        """Answer a pull."""
        name = params["fromImage"]
        self.pulled.append(name)
        self.limits.append(timeout)
        if not self.gives:
            return FakeAnswer({"message": "dial tcp: no such host"})
        self.known[name] = {"RepoDigests": ["debian@" + name.partition("@")[2]], "Config": {}}
        return FakeAnswer({"status": "Pulling"})


def forget(text: str) -> None:
    """Drop a line of output."""


def test_the_declared_base_is_a_digest_and_not_a_tag_that_moves(recipe: BaseRecipe) -> None:
    assert recipe.digest.startswith("sha256:")
    assert len(recipe.digest) == len("sha256:") + 64


def test_a_recipe_without_a_digest_is_refused(tmp_path: Path, recipe: BaseRecipe) -> None:
    raw = json.loads((ROOT / "locks" / "base.json").read_text())
    (tmp_path / "base.json").write_text(json.dumps({**raw, "image": "debian:bookworm-slim"}))

    with pytest.raises(InputRefused, match="debian:bookworm-slim"):
        BaseRecipe.load(tmp_path / "base.json")


def test_a_base_that_is_there_is_not_pulled_again(recipe: BaseRecipe) -> None:
    engine = FakeEngine(
        {recipe.tag: {"RepoDigests": [], "Config": {"Labels": {base_image.RECIPE_LABEL: recipe.fingerprint}}}}
    )

    made = base_image.ensure(engine, recipe, say=forget)

    assert (made.origin, made.fresh, made.reference) == ("bootstrap", False, recipe.tag)
    assert engine.pulled == []


def test_a_base_made_by_another_recipe_is_not_taken(recipe: BaseRecipe) -> None:
    engine = FakeEngine({recipe.tag: {"RepoDigests": [], "Config": {"Labels": {base_image.RECIPE_LABEL: "other"}}}})

    assert base_image.find(engine, recipe) is None


def test_a_pulled_base_is_built_from_by_its_digest(recipe: BaseRecipe) -> None:
    engine = FakeEngine({}, gives=True)

    made = base_image.ensure(engine, recipe, say=forget)

    assert (made.origin, made.fresh, made.reference) == ("registry", True, recipe.image)
    assert recipe.tag in engine.known


def test_a_registry_has_only_the_declared_time_for_its_first_word(recipe: BaseRecipe) -> None:
    engine = FakeEngine({})

    with pytest.raises(EnvironmentUnfit, match="no such host"):
        base_image.pull(engine, recipe, say=forget)

    assert engine.limits == [recipe.connect_seconds]


def test_where_no_registry_answers_mmdebstrap_makes_it(recipe: BaseRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(bootstrap, "make", lambda client, **values: asked.update(values) or "sha256:made")

    made = base_image.ensure(FakeEngine({}), recipe, say=forget)

    assert (made.origin, made.image_id) == ("bootstrap", "sha256:made")
    assert asked["labels"][base_image.RECIPE_LABEL] == recipe.fingerprint


def test_from_registry_never_makes_one(recipe: BaseRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "make", lambda *_, **__: pytest.fail("mmdebstrap was started"))

    with pytest.raises(EnvironmentUnfit):
        base_image.ensure(FakeEngine({}), recipe, way="registry", say=forget)


def test_the_hosts_resolver_and_name_stay_out_of_the_tree(recipe: BaseRecipe, tmp_path: Path) -> None:
    argv = bootstrap.mmdebstrap_argv(suite="bookworm", options=recipe.mmdebstrap, target=tmp_path / "base.tar")

    hook = next(word for word in argv if word.startswith("--customize-hook="))
    assert "etc/resolv.conf" in hook
    assert "etc/hostname" in hook
    assert argv[-2:] == ["bookworm", str(tmp_path / "base.tar")]


def test_the_hosts_apt_proxy_is_used_but_only_through_the_environment() -> None:
    def run(argv: Any) -> Result:
        return Result(tuple(argv), 0, "http://proxy.example:3142\n" if "http::" in argv[-1] else "DIRECT\n")

    assert bootstrap.apt_proxies(run=run) == {"http_proxy": "http://proxy.example:3142"}
