"""Names of images: engine, registry or tar, tags and digests, this machine or another."""

from __future__ import annotations

import pytest

from vldock.common.errors import UsageError
from vldock.host.registry import reference as registry_reference


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("vldock:4.37", "engine"),
        ("team/vldock:4.37", "engine"),
        ("engine:registry.test/vldock:4.37", "engine"),
        ("registry.test/vldock:4.37", "registry"),
        ("localhost/vldock:4.37", "registry"),
        ("127.0.0.1:5000/team/vldock@sha256:" + "0" * 64, "registry"),
        ("registry:ghcr.io/team/vldock:4.37", "registry"),
        ("tar:/tmp/image.tar", "tar"),
    ],
)
def test_a_source_is_where_its_name_says(text: str, kind: str) -> None:
    assert registry_reference.parse_source(text).kind == kind


@pytest.mark.parametrize(
    "text",
    ["vldock", "nohost/vldock", "a.test/", "a.test/UPPER", "a.test/x:bad tag", "a.test/x@sha256:1", "a.test/../x"],
)
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        registry_reference.parse_destination(text)


def test_several_tags_are_read_once_each_in_their_order() -> None:
    assert registry_reference.parse_destination("a.test:5000/x:two,one,two")[1] == ("two", "one")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("127.8.0.1", True),
        ("localhost:1", True),
        ("127.0.0.1.evil.test", False),
        ("a.test", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert registry_reference.Repository(host, "x").loopback is loopback
