"""Rule for redirects: from https to https only."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit


def leaves_https(url: str, location: str) -> bool:
    """Return whether a redirect gives up https; `location` may be relative."""
    return urlsplit(url).scheme == "https" and urlsplit(urljoin(url, location)).scheme != "https"
