"""The image of a command that names none: VLDOCK_IMAGE, vldock:4.37, else the newest with our label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from docker.errors import ImageNotFound

from vldock.common.errors import EnvironmentUnfit
from vldock.host.cli import options
from vldock.host.cli.main import cli
from vldock.host.docker_engine import client as docker_client
from vldock.host.images.local import LABELS, find_default

USERS = "ghcr.io/gwleee/spectravision:4.37"
UNTAGGED = {"RepoTags": ["<none>:<none>"], "Created": 9}


def engine(*labelled: dict[str, Any], here: tuple[str, ...] = ()) -> Any:
    """An engine with these images of our label, and images of these names."""

    def get(name: str) -> str:
        if name not in here:
            raise ImageNotFound(name)
        return name

    def images(*, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        assert filters == {"label": LABELS}
        return list(labelled)

    return SimpleNamespace(images=SimpleNamespace(get=get), api=SimpleNamespace(images=images), close=lambda: None)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that makes an engine the one that answers."""
    monkeypatch.delenv(options.IMAGE_VARIABLE, raising=False)

    def use(made: Any) -> None:
        @contextmanager
        def open_client() -> Iterator[Any]:
            if made is None:
                raise EnvironmentUnfit("no engine")
            yield made

        monkeypatch.setattr(docker_client, "open_client", open_client)

    return use


def chosen(*argv: str) -> Any:
    """The result of a command with --image alone, which prints what it was given."""
    return CliRunner().invoke(click.command()(options.IMAGE(lambda image: click.echo(image))), argv)


def test_the_projects_tag_wins() -> None:
    assert find_default(engine({"RepoTags": [USERS], "Created": 2}, here=("vldock:4.37",))) == ("vldock:4.37", None)


def test_the_users_tag_is_found_by_its_label() -> None:
    name, remark = find_default(engine(UNTAGGED, {"RepoTags": [USERS], "Created": 2}))

    assert (name, remark) == (USERS, f"image: {USERS}, found by its label; --image names another")


def test_of_several_the_newest_is_taken_and_said() -> None:
    name, remark = find_default(engine({"RepoTags": ["old:1"], "Created": 1}, {"RepoTags": [USERS], "Created": 2}))

    assert name == USERS
    assert "the newest of 2" in (remark or "")


def test_without_an_image_the_command_that_makes_one_is_named(use: Any) -> None:
    use(engine(UNTAGGED))

    done = chosen()

    assert isinstance(done.exception, EnvironmentUnfit)
    assert "vldock build" in (done.exception.hint or "")


@pytest.mark.parametrize(("argv", "env", "image"), [
    ((), {}, USERS), ((), {"VLDOCK_IMAGE": "b:2"}, "b:2"), (("--image", "a:1"), {"VLDOCK_IMAGE": "b:2"}, "a:1"),
])  # fmt: skip
def test_the_option_then_the_variable_then_the_label(
    use: Any, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], env: dict[str, str], image: str
) -> None:
    use(engine({"RepoTags": [USERS], "Created": 2}))
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert chosen(*argv).output.splitlines()[-1] == image


def test_without_an_engine_the_command_itself_reports_it(use: Any) -> None:
    use(None)

    assert chosen().output == "vldock:4.37\n"


@pytest.mark.parametrize("argv", [("x:1",), ("--image", "x:1")])
def test_an_image_argument_may_be_typed_as_an_option(use: Any, argv: tuple[str, ...]) -> None:
    use(None)
    command = click.command()(options.IMAGE_ARGUMENT(lambda image: click.echo(image)))

    assert CliRunner().invoke(command, argv).output == "x:1\n"


def commands(group: click.Group, path: str = "vldock") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def test_every_command_on_an_image_takes_the_option_and_the_variable() -> None:
    taking = {
        path: [param for param in command.params if param.name == "image"]
        for path, command in commands(cli)
        if any(param.name == "image" for param in command.params)
    }

    assert {f"vldock {name}" for name in ("matrix", "run", "shell", "predict", "train", "verify", "sbom")} <= set(
        taking
    )
    for path, params in taking.items():
        if path != "vldock receipt check":  # --image is one of three kinds there
            assert [param.envvar for param in params] == [options.IMAGE_VARIABLE], path
