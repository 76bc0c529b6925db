"""Descriptions of APIs in a gateway process: what is told of responses, and a document that changes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gateway, until

ROOT = Path(__file__).parent.parent

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


# Of the OpenAPI Initiative: method, path below the document's server, headers, body, and the status that comes of it.
ASKED: dict[str, list[tuple[str, str, dict[str, str], object, int]]] = {
    "pet-coupons.openapi.yaml": [
        ("GET", "/pet/7", {}, None, 200),
        ("GET", "/pet/seven", {}, None, 400),
        ("GET", "/pets", {}, None, 404),
        ("POST", "/pet", {}, {"name": "rex", "photoUrls": ["a"], "price": 7}, 200),
        ("POST", "/pet", {}, {"name": 7, "photoUrls": "a", "status": "lost"}, 400),
        ("POST", "/pet", {"content-type": "text/plain"}, {}, 415),
        ("DELETE", "/pet/findByStatus", {}, None, 405),
    ],
    "bnpl-openapi.yaml": [("GET", "/nowhere", {}, None, 404)],
    "oauth.openapi.yaml": [("GET", "/nowhere", {}, None, 404)],
    "FAPI-PAR.openapi.yaml": [("GET", "/nowhere", {}, None, 404)],
}


def test_published_descriptions_are_understood(gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    named = os.environ.get("STAGEDOOR_SHARED")
    folders = [Path(named)] if named else [ROOT.parent / "shared", ROOT.parent.parent / "shared"]
    published = next((folder / "arazzo" for folder in folders if (folder / "arazzo").is_dir()), None)
    if published is None:
        pytest.skip("the documents of the OpenAPI Initiative are not here (STAGEDOOR_SHARED)")
    documents = [name for name in ASKED if (published / name).is_file()]
    routes = ""
    for number, name in enumerate(documents):
        (tmp_path / name).write_text((published / name).read_text())
        validate = f"{{openapi: {name}, base_path: /{number}}}"
        routes += f'  r{number}: {{match: {{path: "/{number}/{{rest...}}"}}, policies: {{validate: {validate}}},'
        routes += " target: {response: {status: 200}}}\n"
    running = gateway(CONFIG[: CONFIG.index("routes:")] + "routes:\n" + routes)
    for number, name in enumerate(documents):
        for method, path, fields, body, status in ASKED[name]:
            answer = running.request(method, f"/{number}{path}", body, fields)
            assert answer.status == status, (name, method, path, answer.body)
