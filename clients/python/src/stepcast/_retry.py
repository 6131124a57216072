"""When and where a failed call is tried again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from stepcast.errors import StepcastError

# Refusals: nothing was begun, and another try may do.
REFUSALS = frozenset(
    {"QUEUE_FULL", "TENANT_LIMIT", "DEADLINE_UNREACHABLE", "DRAINING", "DEVICE_LOST", "MODEL_LOADING", "MODEL_FAILED"}
)
# What may also end a call that has begun; with the seed of Accepted the same pictures come from elsewhere.
RESUMABLE = frozenset({"DRAINING", "DEVICE_LOST"})
# The words of a server that shuts down.
STOPPING = "CANCELLED"
# How often a call is taken up again whose server went without a word. Bounded: the call itself may be what killed it.
MAX_LOST = 2


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently. A round asks each address once; `rounds=1` is fail over without waiting.

    Between rounds a call waits as long as the server says (`grpc-retry-pushback-ms`, RetryInfo), else exponentially
    longer from `initial_backoff`. A server that says more than `max_wait` is not waited for: its error is raised.
    Seconds.
    """

    rounds: int = 4
    initial_backoff: float = 0.5
    max_backoff: float = 5.0
    max_wait: float = 30.0


NO_RETRY = RetryPolicy(rounds=1)


def may_retry(error: StepcastError, started: bool) -> bool:
    """Whether the same call may be sent again; `started`: the server had begun to answer."""
    if error.retry_forbidden:
        return False
    if started:
        return error.reason in RESUMABLE or connection_lost(error)
    return error.reason in REFUSALS or connection_lost(error)


def connection_lost(error: StepcastError) -> bool:
    """Whether the server, or a proxy on the way to it, was cut off; its own errors have a reason.

    A bare CANCELLED that nobody here asked for is what gRPC's C++ library says to a call that arrives while it shuts
    down.
    """
    if error.reason:
        return False
    stopping = (error.code, error.message) == ("CANCELLED", STOPPING)
    return error.code == "UNAVAILABLE" or stopping or "RST_STREAM" in error.message


def token_refused(error: StepcastError) -> bool:
    """Whether the same request without its resume token may do: it is not good here, or no tokens are known here."""
    return error.reason == "RESUME_TOKEN_INVALID" or [v.field for v in error.field_violations] == ["resume_token"]


class Retries:
    """The tries of one call: `index` is the address to ask now."""

    def __init__(self, policy: RetryPolicy, addresses: int, first: int, deadline: float | None) -> None:
        self.index = first
        self._policy = policy
        self._addresses = addresses
        self._deadline = deadline
        self._failures = 0
        self._lost = 0
        self._shortest: float | None = None
        self._telling: StepcastError | None = None

    def after(self, error: StepcastError, started: bool) -> float:
        """Moves on to the next address and returns the seconds to wait first; raises where there is no next try."""
        # Where nobody listens nothing was lost.
        if connection_lost(error) and (started or error.code != "UNAVAILABLE"):
            self._lost += 1
        if not may_retry(error, started) or self._lost > MAX_LOST:
            raise error
        # An error with a reason tells more than a dead address beside it.
        if error.reason or self._telling is None:
            self._telling = error
        if error.retry_delay is not None:
            self._shortest = min(self._shortest or error.retry_delay, error.retry_delay)
        self._failures += 1
        self.index = (self.index + 1) % self._addresses
        if self._failures % self._addresses:
            return 0.0
        return self._wait()

    def _wait(self) -> float:
        assert self._telling is not None
        rounds = self._failures // self._addresses
        if rounds >= self._policy.rounds:
            raise self._telling
        backoff = min(self._policy.initial_backoff * 2 ** (rounds - 1), self._policy.max_backoff)
        wait = self._shortest if self._shortest is not None else backoff * random.uniform(0.8, 1.2)
        late = self._deadline is not None and time.monotonic() + wait >= self._deadline
        if wait > self._policy.max_wait or late:
            raise self._telling
        self._shortest, self._telling = None, None
        return wait
