"""Expressions as Python sees them: values in and out, one result, errors that say where."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stagedoor._core import Expression, ExpressionError

Json = Any


def values(bits: int) -> st.SearchStrategy[Json]:
    """What JSON can say, with integers of so many bits beside their sign."""
    text = st.text(st.characters(exclude_categories=["Cs"]))
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(min_value=1 - 2**bits, max_value=2**bits - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=30,
    )


@given(values(200))
def test_a_value_comes_back_as_it_went_in(value: Json) -> None:
    result = Expression(".").evaluate(value)
    assert result == value
    assert type(result) is type(value)


# In text, an integer beyond 64 bits becomes a float.
@given(values(63))
def test_a_value_goes_through_text_unharmed(value: Json) -> None:
    text = Expression("tojson").evaluate(value)
    assert json.loads(text) == Expression("tojson | fromjson").evaluate(value)
    assert Expression("fromjson | tojson").evaluate(text) == text


def test_variables_stand_in_the_order_of_their_names() -> None:
    expression = Expression("[$a, $b, .]", ["$a", "$b"])
    assert expression.evaluate(3, [1, 2]) == [1, 2, 3]
    with pytest.raises(ExpressionError, match="expected 2 variables, got 1"):
        expression.evaluate(3, [1])


def test_the_clock_is_what_the_caller_says() -> None:
    assert Expression("now").evaluate(None, now=12.5) == 12.5
    with pytest.raises(ExpressionError, match="no clock"):
        Expression("now").evaluate(None)


def test_an_expression_tells_its_source() -> None:
    assert Expression(".a").source == ".a"
    assert repr(Expression(".a")) == 'Expression(".a")'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "keys of an object must be str, not int"),
        ({"a": {None: 2}}, "keys of an object must be str, not NoneType"),
        ({"a": b"x"}, "a JSON value cannot hold bytes"),
        ([object()], "a JSON value cannot hold object"),
        ({1, 2}, "a JSON value cannot hold set"),
        (["\ud800"], "lone surrogates"),
        ({"\ud800": 1}, "lone surrogates"),
    ],
)
def test_what_json_cannot_say_is_a_type_error(value: Json, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Expression(".").evaluate(value)


def test_what_is_too_deep_or_too_large_is_a_value_error() -> None:
    deep: Json = 1
    for _ in range(256):
        deep = [deep]
    assert Expression(".").evaluate(deep) == deep
    with pytest.raises(ValueError, match="nested more than 256 deep"):
        Expression(".").evaluate([deep])
    endless: list[Json] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 256 deep"):
        Expression(".").evaluate(endless)
    with pytest.raises(ValueError, match="larger than 16777216 bytes"):
        Expression(".").evaluate(["x" * 10_000_000] * 2)
    with pytest.raises(ValueError, match="more than 4096 bits"):
        Expression(".").evaluate(2**5000)


def test_tuples_are_arrays_and_booleans_are_no_numbers() -> None:
    assert Expression(".").evaluate((1, (True, None))) == [1, [True, None]]
    assert Expression("map(type)").evaluate([True, 1, 1.0]) == ["boolean", "number", "number"]


def test_large_integers_are_exact() -> None:
    assert Expression(". + 1").evaluate(2**64) == 2**64 + 1
    assert Expression(". * .").evaluate(-(2**63)) == 2**126


@pytest.mark.parametrize(
    "source", ["last(repeat(1))", "[range(1e12)]", "def f: [f]; f", 'reduce range(99) as $i ("x"; . + .)']
)
def test_an_expression_without_an_end_is_ended_while_other_threads_go_on(source: str) -> None:
    errors: list[str] = []

    def run() -> None:
        try:
            Expression(source).evaluate(None)
        except ExpressionError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    other = Expression(". + 1")
    while thread.is_alive():
        assert other.evaluate(1) == 2
    thread.join()
    assert len(errors) == 1
