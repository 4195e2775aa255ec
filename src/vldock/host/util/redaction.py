"""Addresses and errors without what they may hold of secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from vldock.host.errors import error_text

SECRETS = re.compile(r"\?[^\s'\")]*|(?<=://)[^/@\s]*@")


def bare_url(url: str) -> str:
    """Return an address without user, password and query: what may be printed."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def clean_message(error: BaseException) -> str:
    """Return an error's words in one line, without what an address may hold of secrets."""
    return SECRETS.sub("", error_text(error))
