"""Descriptions of APIs in a gateway process: what is told of responses, and a document that changes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from running import Gateway, until

CONFIG = """
listeners: {door: {bind: "127.0.0.1:0"}}
admin: {bind: "127.0.0.1:0"}
policies: {access_log: {path: access.log}}
routes:
  all:
    match: {path: "/{rest...}"}
    policies: {validate: {openapi: api/shop.yaml, responses: report}}
    target: {response: {body: "{}", headers: {content-type: application/json}}}
"""
DOCUMENT = """
openapi: 3.1.0
paths:
  /orders:
    get:
      parameters: [{name: limit, in: query, schema: {$ref: limit.yaml}}]
      responses: {200: {description: "", content: {application/json: {schema: {type: array}}}}}
"""


def test_responses_are_reported_and_a_changed_file_counts(gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "api/shop.yaml").write_text(DOCUMENT)
    (tmp_path / "api/limit.yaml").write_text("{type: integer, maximum: 10}")
    running = gateway(CONFIG)
    assert running.request("GET", "/orders?limit=10").status == 200
    assert running.request("GET", "/orders?limit=11").status == 400
    log = tmp_path / "access.log"
    until(lambda: log.exists() and "validate: the response: body must be of the type array" in log.read_text())
    (tmp_path / "api/limit.yaml").write_text("{type: integer, maximum: 11}")
    running.signal(signal.SIGHUP)
    until(lambda: running.request("GET", "/orders?limit=11").status == 200)
    (tmp_path / "api/limit.yaml").write_text("{type: intege}")
    running.signal(signal.SIGHUP)
    until(lambda: "it is not a valid schema" in running.log)
    assert running.request("GET", "/orders?limit=12").status == 400, "the one before goes on"
