"""What a case expects against what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stagedoor.testing.case import Case
from stagedoor.testing.outcome import Outcome
from stagedoor.testing.services import task_name

Json = Any
NOTHING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """``wanted`` and ``found`` are JSON; what is missing is None."""

    where: str
    """For example ``output.items[2].sku``."""
    wanted: Json
    found: Json
    missing: bool = False


def check(case: Case, outcome: Outcome) -> list[Difference]:
    """Everything that is not as expected. Outputs are compared as a whole; of errors, calls and compensations only
    what the case names."""
    return list(_differences(case, outcome))


def _differences(case: Case, outcome: Outcome) -> Iterator[Difference]:
    expect = case.expect
    status = expect.get("status") or ("faulted" if "error" in expect else "completed")
    if outcome.status != status:
        yield Difference("status", status, outcome.status)
        if outcome.error is not None and "error" not in expect:
            yield Difference("error", None, outcome.error)
        if outcome.waiting and "waiting" not in expect:
            yield Difference("waiting", [], list(outcome.waiting))
    if "output" in expect:
        yield from equal("output", expect["output"], outcome.output)
    if "error" in expect:
        yield from covers("error", expect["error"], outcome.error)
    if "compensation" in expect:
        yield from covers("compensation", expect["compensation"], outcome.compensation)
    if "compensations" in expect:
        undone = [call for call in outcome.calls if call["compensates"] is not None]
        yield from _calls("compensations", expect["compensations"], undone)
    if "calls" in expect:
        yield from _calls("calls", expect["calls"], [call for call in outcome.calls if call["compensates"] is None])
    if "emitted" in expect:
        yield from covers("emitted", expect["emitted"], list(outcome.emitted))
    if "attributes" in expect:
        yield from equal("attributes", expect["attributes"], dict(outcome.attributes))
    if "order" in expect:
        yield from equal("order", expect["order"], outcome.order)
    if "incidents" in expect:
        yield from equal("incidents", expect["incidents"], [task_name(task) for task in outcome.incidents])
    if "took" in expect and abs(expect["took"] - outcome.took) > 0.5:
        yield Difference("took", f"{expect['took']:.3f} s", f"{outcome.took:.3f} s")
    if "waiting" in expect:
        found = list(outcome.waiting)
        missing = [part for part in expect["waiting"] if not any(str(part) in reason for reason in found)]
        if missing or (not expect["waiting"] and found):
            yield Difference("waiting", expect["waiting"], found)


def _calls(where: str, wanted: list[Json], found: list[dict[str, Json]]) -> Iterator[Difference]:
    """A text is ``METHOD endpoint``, or the name of the task that calls or is undone; an object names what is
    compared. Every attempt is a call."""
    if len(wanted) != len(found):
        yield Difference(where, wanted, [f"{call['name']}: {call['call']}" for call in found])
        return
    for index, (want, call) in enumerate(zip(wanted, found, strict=True)):
        if isinstance(want, str):
            if want not in (call["call"], call["name"]):
                yield Difference(f"{where}[{index}]", want, f"{call['name']}: {call['call']}")
        else:
            yield from covers(f"{where}[{index}]", want, call)


def covers(where: str, wanted: Json, found: Json) -> Iterator[Difference]:
    """As ``equal``, but objects may have more keys than wanted."""
    yield from _compare(where, wanted, found, exact=False)


def equal(where: str, wanted: Json, found: Json) -> Iterator[Difference]:
    yield from _compare(where, wanted, found, exact=True)


def _compare(where: str, wanted: Json, found: Json, *, exact: bool) -> Iterator[Difference]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from _compare(f"{where}.{key}", value, found[key], exact=exact)
            else:
                yield Difference(f"{where}.{key}", value, None, missing=True)
        if exact:
            for key in found.keys() - wanted.keys():
                yield Difference(f"{where}.{key}", None, found[key])
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (want, have) in enumerate(zip(wanted, found, strict=True)):
            yield from _compare(f"{where}[{index}]", want, have, exact=exact)
    elif isinstance(wanted, bool) is not isinstance(found, bool) or wanted != found:
        yield Difference(where, wanted, found)
