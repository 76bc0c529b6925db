"""The same case again and again, each time with a crash after another event: the outcome must stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagedoor.testing.case import Case
from stagedoor.testing.check import Difference, equal
from stagedoor.testing.outcome import Outcome
from stagedoor.testing.rehearsal import Rehearsal
from stagedoor.workflow.definition import Definition

Json = Any


def rehearse_with_crashes(definition: Definition, case: Case, whole: Outcome) -> Iterator[tuple[int, list[Difference]]]:
    """For each event of ``whole``, the case played without a crash: its number, from 1, and what came out otherwise
    when the process was lost directly after that event.

    Services see a call again with the same idempotency key, so calls are compared by their keys.
    """
    for number in range(1, len(whole.history) + 1):
        again = Rehearsal(definition, case, crash_after=number).run()
        yield number, list(_differences(whole, again))


def _differences(whole: Outcome, again: Outcome) -> Iterator[Difference]:
    yield from equal("status", whole.status, again.status)
    yield from equal("output", whole.output, again.output)
    yield from equal("error", whole.error, again.error)
    yield from equal("compensation", whole.compensation, again.compensation)
    yield from equal("emitted", list(whole.emitted), list(again.emitted))
    yield from equal("attributes", dict(whole.attributes), dict(again.attributes))
    yield from equal("incidents", list(whole.incidents), list(again.incidents))
    yield from equal("keys", _keys(whole), _keys(again))


def _keys(outcome: Outcome) -> list[str]:
    return sorted({call["key"] for call in outcome.calls})
