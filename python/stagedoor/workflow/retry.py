"""When to try again: back-off, jitter and limits of a retry policy. Deterministic: jitter is a hash, not a die."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from stagedoor.workflow.duration import seconds
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Compiled, Environment, truthy

Json = Any

DEFAULT_COUNT = 10
"""Retries of a policy that sets no limit of its own: the specification would let it go on for ever."""
LONGEST_DELAY = 86400.0
"""Seconds between two attempts, whatever the back-off says."""

Duration = float | Compiled
"""Seconds, or an expression that yields a duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    delay: Duration = 0.0
    backoff: Literal["constant", "linear", "exponential"] = "constant"
    count: int | None = None
    """Retries after the first attempt."""
    total: Duration | None = None
    """Seconds from the first failure after which no retry begins."""
    jitter: tuple[Duration, Duration] | None = None
    when: Compiled | None = None
    except_when: Compiled | None = None

    def wait(self, environment: Environment, data: Json, retries: int, since: float, seed: str) -> float | None:
        """Seconds to wait before the next attempt after ``retries`` retries, or None to give up.

        ``since`` is the time of the first failure; ``seed`` names the task, so that a replay gets the same jitter.
        Raises ``Failure`` when an expression fails.
        """
        limit = DEFAULT_COUNT if self.count is None and self.total is None else self.count
        if limit is not None and retries >= limit:
            return None
        if self.when is not None and not truthy(self.when(environment, data)):
            return None
        if self.except_when is not None and truthy(self.except_when(environment, data)):
            return None
        wait = evaluate(self.delay, environment, data)
        if self.backoff == "linear":
            wait *= retries + 1
        elif self.backoff == "exponential":
            wait *= 2.0 ** min(retries, 64)
        if self.jitter is not None:
            low, high = (evaluate(bound, environment, data) for bound in self.jitter)
            digest = sha256(f"{seed}#{retries + 1}".encode()).digest()
            wait += low + max(0.0, high - low) * int.from_bytes(digest[:8]) / 2**64
        wait = min(wait, LONGEST_DELAY)
        if self.total is not None and environment.now + wait > since + evaluate(self.total, environment, data):
            return None
        return wait


def evaluate(duration: Duration, environment: Environment, data: Json) -> float:
    """Seconds; raises ``Failure`` when an expression fails or yields no duration."""
    if isinstance(duration, float):
        return duration
    value = duration(environment, data)
    try:
        return seconds(value)
    except ValueError as error:
        raise Failure(
            standard("expression", 400, "Not a duration", environment.reference, f"{duration.source.strip()}: {error}")
        ) from error
