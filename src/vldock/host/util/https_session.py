"""A requests session: https redirects only, without passwords for other hosts."""

from __future__ import annotations

import os

import requests

from vldock.common.https import leaves_https

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class LeftHttps(requests.RequestException):
    """A host redirects from https to plain http."""


class HttpsSession(requests.Session):
    """Follows redirects; raises LeftHttps for one from https to http."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Called by requests for each answer; None where it is no redirect."""
        target = super().get_redirect_target(resp)
        if target is not None and leaves_https(resp.url, target):
            resp.close()
            raise LeftHttps(f"{resp.url} redirects to {target}: https was asked for")
        return target

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Remove the password at a redirect to another host.

        Called by requests for each redirect; a password of a .netrc is removed too.
        """
        before, after = response.request.url, prepared_request.url
        if self.should_strip_auth(before, after):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)


def use_no_proxy(session: requests.Session) -> None:
    """Set a session up for a host on this machine.

    It uses no proxy and no .netrc; a CA of the user's own counts.
    """
    session.trust_env = False
    session.verify = next(filter(None, map(os.environ.get, CA_VARIABLES)), True)
