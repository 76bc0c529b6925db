"""When to try again: back-off, jitter and limits of a retry policy. Deterministic: jitter is a hash, not a die."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, cast

from stagedoor.workflow.duration import Span, parse
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Compiled, Environment, truthy

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler
    from stagedoor.workflow.place import Place

Json = Any
Kind = Literal["constant", "linear", "exponential"]

DEFAULT_COUNT = 10
"""Retries of a policy that sets no limit of its own: the specification would let it go on for ever."""
CALENDAR = 3
"""Rules since which an expression may yield years and months."""
LONGEST_DELAY = 86400.0
"""Seconds between two attempts, whatever the back-off says."""

Duration = float | Span | Compiled
"""Seconds, what is counted on the calendar, or an expression that yields a duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How the delay grows from retry to retry. The specification names no parameters: these are ours."""

    kind: Kind = "constant"
    increment: Duration | None = None
    """``linear``: what each further retry waits longer. None: the delay itself."""
    multiplier: float = 2.0
    """``exponential``: each delay in terms of the one before."""
    longest: Duration | None = None

    def grow(self, delay: float, retries: int, environment: Environment, data: Json) -> float:
        """Before the retry after ``retries`` retries. Raises ``Failure`` when an expression fails."""
        if self.kind == "linear":
            delay += retries * (delay if self.increment is None else evaluate(self.increment, environment, data))
        elif self.kind == "exponential":
            delay *= self.multiplier ** min(retries, 64)
        return delay if self.longest is None else min(delay, evaluate(self.longest, environment, data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    delay: Duration = 0.0
    backoff: Backoff = Backoff()
    count: int | None = None
    """Retries after the first attempt."""
    total: Duration | None = None
    """Seconds from the first failure after which no retry begins."""
    attempt: Duration | None = None
    """Seconds that one attempt may take, the first one too."""
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
        wait = self.backoff.grow(wait, retries, environment, data)
        if self.jitter is not None:
            low, high = (evaluate(bound, environment, data) for bound in self.jitter)
            digest = sha256(f"{seed}#{retries + 1}".encode()).digest()
            wait += low + max(0.0, high - low) * int.from_bytes(digest[:8]) / 2**64
        wait = min(wait, LONGEST_DELAY)
        if self.total is not None and environment.now + wait > since + evaluate(self.total, environment, data):
            return None
        return wait


def evaluate(duration: Duration, environment: Environment, data: Json) -> float:
    """Seconds from now; raises ``Failure`` when an expression fails or yields no duration."""
    if isinstance(duration, float):
        return duration
    if isinstance(duration, Span):
        return duration.after(environment.now)
    value = duration(environment, data)
    try:
        found = parse(value)
        if isinstance(found, float):
            return found
        if environment.rules < CALENDAR:
            raise ValueError(f"{value!r} is not an ISO 8601 duration: years and months have no fixed length")
        return found.after(environment.now)
    except ValueError as error:
        raise Failure(
            standard("expression", 400, "Not a duration", environment.reference, f"{duration.source.strip()}: {error}")
        ) from error


def compile(
    place: Place, variables: Sequence[str], compiler: Compiler, error: str = "$error", *, loosely: bool = False
) -> Retry:
    """A policy or the name of one. ``error`` is the variable that holds the caught error. ``loosely``: nothing refers
    to it, so its variables cannot be known."""
    found = compiler.referenced(place, compiler.retries, "retry policy", "use.retries")
    if found is None or not found.mapping():
        return Retry()
    found.keys({"when", "exceptWhen", "delay", "backoff", "limit", "jitter"}, common=False)
    said = found.value
    if loosely:
        said = {key: value for key, value in said.items() if key not in ("when", "exceptWhen")}
    none = (None, None, None)
    count, attempt, total = _limit(found.at("limit"), variables, error, compiler) if "limit" in said else none
    return Retry(
        delay=compiler.duration(found.at("delay"), variables) if "delay" in said else 0.0,
        backoff=_backoff(found.at("backoff"), variables, compiler) if "backoff" in said else Backoff(),
        count=count,
        total=total,
        attempt=attempt,
        jitter=_jitter(found.at("jitter"), variables, compiler) if "jitter" in said else None,
        when=compiler.expression(found.at("when"), variables) if "when" in said else None,
        except_when=compiler.expression(found.at("exceptWhen"), variables) if "exceptWhen" in said else None,
    )


PARAMETERS = {"constant": (), "linear": ("increment", "maxDelay"), "exponential": ("multiplier", "maxDelay")}


def _backoff(place: Place, variables: Sequence[str], compiler: Compiler) -> Backoff:
    if not place.mapping(minimum=1):
        return Backoff()
    place.keys(set(PARAMETERS), common=False)
    named = [key for key in PARAMETERS if key in place.value]
    if len(place.value) > 1:
        place.problem("a back-off is of one kind: constant, linear or exponential")
    if not named:
        return Backoff()
    kind, found = named[0], place.at(named[0])
    if not found.mapping():
        return Backoff()
    said, known = found.value, PARAMETERS[named[0]]
    for key in said:
        if key not in known:
            hint = f"known here: {', '.join(known)}" if known else "leave it out"
            found.at(key).problem(f"a {kind} back-off has no parameter {key!r}: it changes nothing", hint, "warning")
    multiplier = said.get("multiplier", 2.0) if "multiplier" in known else 2.0
    if isinstance(multiplier, bool) or not isinstance(multiplier, int | float) or not 1 <= multiplier <= 100:
        found.at("multiplier").problem("multiplier is a number from 1 to 100")
        multiplier = 2.0
    durations = {
        key: compiler.duration(found.at(key), variables) if key in said and key in known else None
        for key in ("increment", "maxDelay")
    }
    return Backoff(
        kind=cast(Kind, kind),
        increment=durations["increment"],
        multiplier=float(multiplier),
        longest=durations["maxDelay"],
    )


def _limit(
    place: Place, variables: Sequence[str], error: str, compiler: Compiler
) -> tuple[int | None, Duration | None, Duration | None]:
    if not place.mapping():
        return None, None, None
    place.keys({"attempt", "duration"}, common=False)
    count, longest = None, None
    attempt = place.at("attempt")
    if "attempt" in place.value and attempt.mapping():
        attempt.keys({"count", "duration"}, common=False)
        count = attempt.value.get("count")
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 1000):
            attempt.at("count").problem("count is a number from 0 to 1000")
            count = None
        if "duration" in attempt.value:
            # Known before anything has failed.
            before = [name for name in variables if name != error]
            longest = compiler.duration(attempt.at("duration"), before)
    total = compiler.duration(place.at("duration"), variables) if "duration" in place.value else None
    return count, longest, total


def _jitter(place: Place, variables: Sequence[str], compiler: Compiler) -> tuple[Duration, Duration] | None:
    if not place.mapping(required=("from", "to")):
        return None
    place.keys({"from", "to"}, common=False)
    low, high = compiler.duration(place.at("from"), variables), compiler.duration(place.at("to"), variables)
    if isinstance(low, float) and isinstance(high, float) and low > high:
        place.problem("jitter's from is longer than its to")
    return low, high
