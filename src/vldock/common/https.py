"""The rule for redirects: what was asked for over https is not fetched over anything less."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit


def leaves_https(url: str, location: str) -> bool:
    """Return whether a redirect from `url` to `location`, which may be relative, gives up https."""
    return urlsplit(url).scheme == "https" and urlsplit(urljoin(url, location)).scheme != "https"
