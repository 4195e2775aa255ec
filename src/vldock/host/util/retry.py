"""Work over a network, tried again with pauses while its failure says that a later try may do."""

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
    """Worth another try: a lost connection, or an answer that says 'later'; `after` is what it asked for, seconds."""

    def __init__(self, what: str, *, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried, and how long the pauses between may grow, in seconds."""

    attempts: int = 6
    longest: float = 20.0
    first: float = 0.5


class Wait(wait_base):
    """What the host asked for (Retry-After), else longer each time, with chance in it; never above the longest."""

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
    """Call `work` again, with pauses, as long as it raises Again; raises `on_exhausted(error)` when patience ends."""

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
