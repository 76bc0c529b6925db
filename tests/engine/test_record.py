"""JSON of the event log: as the standard library's own encoder and decoder have it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stagedoor.engine.record import decode_json, encode_json

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_is_encoded_is_the_same_text_and_the_same_value_again(value: Any) -> None:
    text = encode_json(value)
    assert text == json.dumps(value, separators=(",", ":"))
    assert decode_json(text) == decode_json(f" \r\n{text}\t\n") == value


def test_a_lone_surrogate_stays_an_escape() -> None:
    assert encode_json("\ud800ü") == '"\\ud800\\u00fc"'


@pytest.mark.parametrize("text", ["", " ", "{", '{"a":1} 2', "[1]x", "NaN", "[-Infinity]", "\ufeff1", "1\x0b"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - by the standard library, in its words
        decode_json(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_what_json_has_no_word_for_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_json(value)
