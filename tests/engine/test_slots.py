"""Slots: who gets the next one, and that what is told of the queue comes true."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from stagedoor.engine.limits import Share
from stagedoor.engine.slots import Key, Slots


def now(go_on: Callable[[], None]) -> None:
    go_on()


KEYS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("123456789")), unique=True, min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(KEYS, st.integers(1, 4), st.data())
def test_places_say_in_which_order_slots_are_given_and_all_come_back(
    keys: list[Key], at_once: int, data: st.DataObject
) -> None:
    slots = Slots("cluster", "c", Share(at_once), lambda: 1.0, now)
    begun: list[Key] = []
    for key in keys:
        if slots.hold(key):
            begun.append(key)
        else:
            assert slots.queue(key, partial(begun.append, key))
    for key in data.draw(st.lists(st.sampled_from(keys), max_size=8)):
        slots.leave(key)
        slots.leave(key)
    left = [key for key in keys if slots.place(key) is not None]
    order = sorted(left, key=lambda key: slots.place(key) or (0,))
    assert [place.number for key in order if (place := slots.place(key))] == list(range(1, len(left) + 1))
    before = len(begun)
    while slots.held:
        slots.leave(next(iter(slots._held)))
    assert begun[before:] == order
    assert (slots.held, slots.waiting) == (0, 0)
    assert len(set(begun)) == len(begun)


def test_work_that_ends_as_it_begins_does_not_stack_up() -> None:
    slots = Slots("cluster", "c", Share(1), lambda: 1.0, now)
    assert slots.hold(("a", "first"))
    keys = [("a", str(number)) for number in range(5000)]
    for key in keys:
        slots.queue(key, partial(slots.leave, key))
    slots.leave(("a", "first"))
    assert (slots.held, slots.waiting) == (0, 0)


def test_a_queue_has_a_bound_and_what_must_wait_waits_beyond_it() -> None:
    slots = Slots("cluster", "c", Share(1, 1), lambda: 1.0, now)
    assert slots.hold(("a", "1"))
    assert slots.queue(("a", "2"), lambda: None)
    assert not slots.queue(("a", "3"), lambda: None)
    assert slots.queue(("a", "4"), lambda: None, always=True)
    assert (slots.waiting, slots.refused) == (2, 1)
