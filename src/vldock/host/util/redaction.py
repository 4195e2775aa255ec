"""Addresses and errors without secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from vldock.host.errors import error_text

SECRETS = re.compile(r"\?[^\s'\")]*|(?<=://)[^/@\s]*@")


def bare_url(url: str) -> str:
    """Return an address without user, password and query, for printing."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def clean_message(error: BaseException) -> str:
    """Return an error's text in one line, without an address's secrets."""
    return SECRETS.sub("", error_text(error))
