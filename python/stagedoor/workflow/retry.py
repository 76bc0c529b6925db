"""When to try again: back-off, jitter and limits of a retry policy. Deterministic: jitter is a hash, not a die."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, cast

from stagedoor.workflow.duration import seconds
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Compiled, Environment, truthy

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler
    from stagedoor.workflow.place import Place

Json = Any
Backoff = Literal["constant", "linear", "exponential"]

DEFAULT_COUNT = 10
"""Retries of a policy that sets no limit of its own: the specification would let it go on for ever."""
LONGEST_DELAY = 86400.0
"""Seconds between two attempts, whatever the back-off says."""

Duration = float | Compiled
"""Seconds, or an expression that yields a duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    delay: Duration = 0.0
    backoff: Backoff = "constant"
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


def compile(place: Place, variables: Sequence[str], compiler: Compiler, *, loosely: bool = False) -> Retry:
    """A policy or the name of one. ``loosely``: nothing refers to it, so its variables cannot be known."""
    found = compiler.referenced(place, compiler.retries, "retry policy", "use.retries")
    if found is None or not found.mapping():
        return Retry()
    found.keys({"when", "exceptWhen", "delay", "backoff", "limit", "jitter"}, common=False)
    said = found.value
    if loosely:
        said = {key: value for key, value in said.items() if key not in ("when", "exceptWhen")}
    count, total = _limit(found.at("limit"), variables, compiler) if "limit" in said else (None, None)
    return Retry(
        delay=compiler.duration(found.at("delay"), variables) if "delay" in said else 0.0,
        backoff=_backoff(found.at("backoff")) if "backoff" in said else "constant",
        count=count,
        total=total,
        jitter=_jitter(found.at("jitter"), variables, compiler) if "jitter" in said else None,
        when=compiler.expression(found.at("when"), variables) if "when" in said else None,
        except_when=compiler.expression(found.at("exceptWhen"), variables) if "exceptWhen" in said else None,
    )


def _backoff(place: Place) -> Backoff:
    if not place.mapping(minimum=1):
        return "constant"
    kinds = ("constant", "linear", "exponential")
    place.keys(set(kinds), common=False)
    named = [key for key in kinds if key in place.value]
    if len(place.value) > 1:
        place.problem("a back-off is of one kind: constant, linear or exponential")
    for key in named:
        if place.value[key]:
            place.at(key).unsupported("parameters of a back-off", f"write {key}: {{}}")
    return cast(Backoff, named[0] if named else "constant")


def _limit(place: Place, variables: Sequence[str], compiler: Compiler) -> tuple[int | None, Duration | None]:
    if not place.mapping():
        return None, None
    place.keys({"attempt", "duration"}, common=False)
    count = None
    attempt = place.at("attempt")
    if "attempt" in place.value and attempt.mapping():
        attempt.keys({"count"}, common=False, unsupported={"duration": "a limit on the duration of one attempt"})
        count = attempt.value.get("count")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 1000):
            attempt.at("count").problem("count is a number from 0 to 1000")
            count = None
    return count, compiler.duration(place.at("duration"), variables) if "duration" in place.value else None


def _jitter(place: Place, variables: Sequence[str], compiler: Compiler) -> tuple[Duration, Duration] | None:
    if not place.mapping(required=("from", "to")):
        return None
    place.keys({"from", "to"}, common=False)
    low, high = compiler.duration(place.at("from"), variables), compiler.duration(place.at("to"), variables)
    if isinstance(low, float) and isinstance(high, float) and low > high:
        place.problem("jitter's from is longer than its to")
    return low, high
