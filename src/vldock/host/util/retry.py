"""Retries of network requests, with pauses, while the failure is temporary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import requests
from tenacity import RetryCallState, Retrying, nap, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from vldock.host.util.console import Say

AGAIN = {408, 425, 429, 500, 502, 503, 504}
LOST = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
Result = TypeVar("Result")


class RetryableError(Exception):
    """A temporary failure: a lost connection, or an answer 'later'.

    `after` is the pause the host requested, in seconds.
    """

    def __init__(self, what: str, *, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


@dataclass(frozen=True)
class RetryPolicy:
    """Number of attempts, and limits of the pauses between, in seconds."""

    attempts: int = 6
    longest: float = 20.0
    first: float = 0.5


class Wait(wait_base):
    """The pause before the next attempt.

    What the host requested (Retry-After), else longer each time, with chance in it; never above the longest.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self.longest = policy.longest
        self.growing = wait_random_exponential(multiplier=policy.first, max=policy.longest)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        asked = error.after if isinstance(error, RetryableError) else None
        return self.growing(retry_state) if asked is None else min(asked, self.longest)


def retry(
    work: Callable[[], Result],
    *,
    policy: RetryPolicy,
    log: Say,
    on_exhausted: Callable[[RetryableError], Exception],
    sleep: Callable[[float], None] = nap.sleep,
) -> Result:
    """Call `work` until it does not raise RetryableError, with pauses between.

    Raises `on_exhausted(error)` after the last attempt.
    """

    def log_pause(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        log(f"{error}; attempt {state.attempt_number + 1} in {pause:.1f} s")

    retrying = Retrying(
        stop=stop_after_attempt(policy.attempts),
        wait=Wait(policy),
        sleep=sleep,
        retry=retry_if_exception_type(RetryableError),
        before_sleep=log_pause,
        reraise=True,
    )
    try:
        return retrying(work)
    except RetryableError as error:
        raise on_exhausted(error) from error
