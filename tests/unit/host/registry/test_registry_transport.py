"""https and plain http: the scheme of a registry, and the addresses it may name."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.registries.fake_registry import FakeRegistry

from vldock.host.errors import RegistryFailed
from vldock.host.registry import reference as registry_reference
from vldock.host.registry.address import Home
from vldock.host.registry.transport import Http


def test_a_registry_elsewhere_is_spoken_to_by_https() -> None:
    assert Http(registry_reference.Repository("a.test", "x")).url("/v2/") == "https://a.test/v2/"


@pytest.mark.parametrize(
    ("error", "scheme"),
    [
        ("CERTIFICATE_VERIFY_FAILED: self-signed certificate", "https"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "https"),
        ("UNSUPPORTED_PROTOCOL", "https"),
        ("WRONG_VERSION_NUMBER", "http"),
    ],
    ids=["a certificate we do not trust", "one of ours is wanted", "an old TLS", "no TLS at all"],
)
def test_on_this_machine_http_is_spoken_only_where_nobody_speaks_tls(error: str, scheme: str) -> None:
    class Adapter(FakeRegistry):
        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # type: ignore[override]
            raise requests.exceptions.SSLError(error)

    session = requests.Session()
    session.mount("https://", Adapter())

    assert Http(registry_reference.Repository("127.0.0.1:1", "x"), session=session).scheme() == scheme


@pytest.mark.parametrize(
    ("home", "url", "wanted"),
    [
        (Home("https", "a.test"), "http://a.test/x?y=1", "https://a.test/x?y=1"),
        (Home("https", "a.test:5000"), "http://a.test/x", "https://a.test:5000/x"),
        (Home("https", "a.test"), "HTTP://A.TEST/x", "https://a.test/x"),
        (Home("https", "a.test"), "http://a.test:8080/x", "https://a.test/x"),
        (Home("https", "a.test"), "https://b.test/x", "https://b.test/x"),
        (Home("http", "a.test", plain_http=True), "http://b.test/x", "http://b.test/x"),
        (Home("http", "127.0.0.1:5000"), "http://localhost:9000/x", "http://localhost:9000/x"),
    ],
)
def test_an_address_is_taken_as_it_may_be(home: Home, url: str, wanted: str) -> None:
    assert home.resolve(url) == wanted


@pytest.mark.parametrize(
    ("home", "url"),
    [
        (Home("https", "a.test"), "http://a.test.evil.test/x"),
        (Home("https", "a.test"), "http://a.test@evil.test/x"),
        (Home("https", "127.0.0.1:5000"), "http://localhost:5000/x"),
        (Home("http", "127.0.0.1:5000"), "http://far.test/x"),
    ],
    ids=["longer", "as a user", "https here", "from here to elsewhere"],
)
def test_plain_http_that_was_not_asked_for_is_refused(home: Home, url: str) -> None:
    with pytest.raises(RegistryFailed, match="nothing was sent there"):
        home.resolve(url)
