"""Forms as bodies of calls, as the service gets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, write
from running import Gateway
from service import Service

Start = Callable[..., Gateway]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_fields_are_written_as_json_writes_them(gateway: Start, service: Service, tmp_path: Path) -> None:
    body = {"text": "a b&ü", "yes": True, "no": "${ false }", "n": 2, "whole": 3.0, "half": 0.5, "left": None}
    write(tmp_path, [{"a": call("/form", headers=FORM, body={**body, "list": ["x", True, None, 1]})}])
    running = gateway(config(service.port))
    assert running.request("POST", "/flow", {}).status == 200
    [seen] = service.to("/form")
    assert seen.headers["content-type"] == FORM["Content-Type"]
    assert seen.body == b"text=a+b%26%C3%BC&yes=true&no=false&n=2&whole=3&half=0.5&list=x&list=true&list=1"


@pytest.mark.parametrize("value", [{"a": 1}, [[1]]])
def test_a_field_that_cannot_be_written_is_told_and_not_sent(
    value: Any, gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": call("/form", headers=FORM, body={"odd": value})}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {})
    assert "the field 'odd' of its form is neither text nor a number" in answer.json["detail"]
    assert service.to("/form") == []
