"""Expressions that name fields alone are answered as by jq."""

from __future__ import annotations

from typing import Any

import pytest
from stagedoor._core import Expression
from stagedoor.workflow.error import Failure
from stagedoor.workflow.events import RULES
from stagedoor.workflow.expression import Compiled


class Nowhere:
    reference, now, rules = "/do/0/a", 1.0, RULES

    def variable(self, name: str) -> Any:
        raise KeyError(name)


VALUES = [
    None,
    True,
    0,
    -7,
    2**53 - 1,
    2**53,
    2**70,
    1.0,
    1.5,
    1e300,
    "",
    "chair",
    "stühle \0",
    [1, {"a": 2}],
    {"x": None},
]


@pytest.mark.parametrize("source", [".x", " .x ", ".x_1"])
def test_a_field_is_what_jq_finds_there(source: str) -> None:
    field, asked = Compiled(source, ()), Expression(source, ())
    for value in VALUES:
        data = {source.strip()[1:]: value, "other": 1}
        found = field(Nowhere(), data)
        assert (found, type(found)) == ((want := asked.evaluate(data, (), 1.0)), type(want))
    assert field(Nowhere(), {}) is field(Nowhere(), None) is None
    with pytest.raises(Failure, match="Expression failed"):
        field(Nowhere(), ["no object"])


@pytest.mark.parametrize(
    "source", ["{x: .x}", " { b:.x , a: .other,x:.none } ", "{x: .other, y: .x, x: .x}", "{if: .x}"]
)
def test_an_object_of_fields_is_what_jq_makes(source: str) -> None:
    members, asked = Compiled(source, ()), Expression(source, ())
    for value in VALUES:
        data = {"x": value, "other": 1}
        found, want = members(Nowhere(), data), asked.evaluate(data, (), 1.0)
        assert list(found.items()) == list(want.items())
        assert [type(each) for each in found.values()] == [type(each) for each in want.values()]
    assert members(Nowhere(), {}) == members(Nowhere(), None) == asked.evaluate(None, (), 1.0)
    with pytest.raises(Failure, match="Expression failed"):
        members(Nowhere(), ["no object"])
