"""Refusals in the registry's own words, in one line, and answers without a manifest."""

from __future__ import annotations

import json

import pytest
from support.registries.fake_registry import FakeRegistry, response

from vldock.host.errors import RegistryFailed
from vldock.host.registry.client import OCI_MANIFEST

LOGIN = b"<!doctype html><style>p {color: red}</style><title>Sign in</title><p>to the hotel's network &amp; go on"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LOGIN, "Sign in to the hotel's network & go on"),
        (b"upstream request timeout", "upstream request timeout"),
        (
            b'{"errors": [{"code": "DENIED", "message": "no\\nquota", "detail": {"left": 0}}]}',
            "DENIED no quota {'left': 0}",
        ),
        (b'{"errors": [7, {"code": 7}]}', "7"),
        (b"x" * 1000, "x" * 300 + "..."),
        (b"", "no reason given"),
    ],
    ids=["a page", "text", "errors", "odd errors", "long", "nothing"],
)
def test_a_refusal_is_told_in_the_registrys_words_on_one_line(body: bytes, said: str) -> None:
    fake = FakeRegistry()
    fake.trouble = lambda n, request: response(request, 400, body)

    with pytest.raises(RegistryFailed) as caught:
        fake.remote("a").manifest("tag")
    assert caught.value.message.endswith(f"400 status 400: {said}")


def test_a_tag_with_a_login_page_for_a_manifest_is_told_by_its_title() -> None:
    fake = FakeRegistry()
    fake.trouble = lambda n, request: response(request, 200, LOGIN, {"Content-Type": "text/html"})

    with pytest.raises(RegistryFailed, match="no manifest came: Sign in to the hotel"):
        fake.remote("a").manifest("tag")


def test_a_manifest_without_a_content_type_is_what_it_says_itself() -> None:
    fake = FakeRegistry()
    raw = json.dumps({"mediaType": OCI_MANIFEST}).encode()
    fake.trouble = lambda n, request: response(request, 200, raw)

    found = fake.remote("a").manifest("tag")

    assert found is not None
    assert found.media_type == OCI_MANIFEST
