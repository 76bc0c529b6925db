"""``call: openapi``: requests as descriptions say, where they go, and what is wrong is found before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls.test_call_authentication import document
from flow import config
from ruamel.yaml import YAML
from running import Gateway
from scenario import shared
from service import Service
from stagedoor.config import check
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.commands import Call
from stagedoor.workflow.parse import parse, restore, stored
from stagedoor.workflow.resource import Pinned
from virtual import Driver

Json = Any
Start = Callable[..., Gateway]
HERE = Path(__file__).parent
CASES = YAML(typ="safe", pure=True).load((HERE / "parameters.yaml").read_text())
SHARED = shared()
HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "flow", "version": "1.0.0"}


def described(parameter: Json, *, swagger: bool = False) -> Json:
    name = parameter["name"]
    path = "/{%s}" % name if parameter["in"] == "path" else "/x"  # noqa: UP031 - braces
    operation = {"operationId": "one", "parameters": [parameter]}
    if swagger:
        return {"swagger": "2.0", "host": "api.example", "basePath": "/", "paths": {path: {"post": operation}}}
    return {"openapi": "3.1.0", "servers": [{"url": "https://api.example"}], "paths": {path: {"post": operation}}}


def task(uri: str, operation: str, parameters: Json = None, **more: Json) -> Json:
    said = {"document": {"endpoint": uri}, "operationId": operation, **more}
    return {"call": "openapi", "with": said if parameters is None else {**said, "parameters": parameters}}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['parameter']} {case['value']}" for case in CASES])
def test_a_parameter_goes_where_and_as_the_description_says(case: Json) -> None:
    source = Pinned({"data api.yaml": described(case["parameter"], swagger=case.get("swagger", False))})
    do = [{"one": task("api.yaml", "one", {case["parameter"]["name"]: "${ . }"})}]
    driver = Driver(parse({"document": HEAD, "do": do}, source))
    machine = driver.run(case["value"])
    if "error" in case:
        assert machine.status == "faulted"
        assert case["error"] in machine.error["detail"]
        return
    [call] = [command for command in driver.commands if isinstance(command, Call)]
    assert (call.method, call.endpoint) == ("POST", "https://api.example" + case["calls"])
    assert (call.headers, call.body) == (case.get("headers", {}), case.get("body"))


PETS = {
    "openapi": "3.0.3",
    "servers": [{"url": "https://{region}.pets.example/v2", "variables": {"region": {"default": "eu"}}}],
    "components": {
        "parameters": {"id": {"in": "path", "name": "id", "required": True}},
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Pets-Key"}},
    },
    "paths": {
        "/pets/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "get": {
                "operationId": "getPet",
                "security": [{"key": []}],
                "responses": {"200": {"content": {"text/csv": {}}}},
            },
            "put": {
                "operationId": "putPet",
                "servers": [{"url": "https://write.pets.example"}],
                "requestBody": {"required": True, "content": {"multipart/form-data": {}, "application/json": {}}},
            },
            "patch": {"operationId": "patchPet", "requestBody": {"content": {"multipart/form-data": {}}}},
            "delete": {"operationId": "deletePet", "parameters": [{"$ref": "#/components/parameters/lost"}]},
        }
    },
}


def test_the_first_server_that_is_nearest_counts_and_so_do_the_contents() -> None:
    do = [{"one": task("p", "getPet", {"id": 1})}, {"two": task("p", "putPet", {"id": 1, "body": {"a": 1}})}]
    definition = parse({"document": HEAD, "do": do}, Pinned({"data p": PETS}))
    driver = Driver(definition)
    assert driver.run({}).status == "completed"
    one, two = (command for command in driver.commands if isinstance(command, Call))
    assert (one.endpoint, one.headers) == ("https://eu.pets.example/v2/pets/1", {"Accept": "text/csv"})
    assert (two.endpoint, two.body, two.headers) == ("https://write.pets.example/pets/1", {"a": 1}, {})
    assert {uri for _, uri in definition.reached} == {
        "https://eu.pets.example/v2/pets/",
        "https://write.pets.example/pets/",
    }
    assert [warning.message for warning in definition.warnings] == ["the operation wants an authentication"]


def test_what_was_read_belongs_to_the_definition_and_to_its_hash() -> None:
    written = {"document": HEAD, "do": [{"one": task("p", "putPet", {"id": 1, "body": 1})}]}
    one = parse(written, Pinned({"data p": PETS}))
    changed = json.loads(json.dumps(PETS).replace("write.pets", "other.pets"))
    other = parse(written, Pinned({"data p": changed}))
    assert one.hash != other.hash
    again = restore(json.loads(json.dumps(stored(one))))
    assert (again.hash, again.document, again.reached) == (one.hash, one.document, one.reached)


@pytest.mark.parametrize(
    ("operation", "parameters", "message", "hint"),
    [
        ("getPets", {}, "there is no operation 'getPets' in it", "did you mean 'getPet'?"),
        ("getPet", {}, "the parameter 'id' is missing", None),
        ("getPet", {"id": 1, "idd": 2}, "no parameter 'idd'", "did you mean 'id'?"),
        ("putPet", {"id": 1}, "the parameter 'body' is missing", None),
        ("patchPet", {"id": 1}, "not supported: a body in several parts", None),
        ("deletePet", {"id": 1}, "'#/components/parameters/lost' leads nowhere", None),
    ],
)
def test_a_call_that_does_not_fit_the_description_is_found(
    operation: str, parameters: Json, message: str, hint: str | None
) -> None:
    written = {"document": HEAD, "do": [{"one": task("p", operation, parameters)}]}
    with pytest.raises(InvalidDefinition) as refused:
        parse(written, Pinned({"data p": PETS}))
    [problem] = [each for each in refused.value.problems if each.severity == "error"]
    assert message in problem.message
    assert hint is None or hint == problem.hint


@pytest.mark.parametrize(
    "wrong", [[], {}, {"openapi": "4.0"}, {"openapi": "3.1.0", "paths": []}, {"openapi": "3.1.0", "paths": {"/": []}}]
)
def test_what_is_no_description_is_told(wrong: Json) -> None:
    with pytest.raises(InvalidDefinition):
        parse({"document": HEAD, "do": [{"one": task("p", "x")}]}, Pinned({"data p": wrong}))


@pytest.mark.skipif(SHARED is None, reason="the Arazzo descriptions are not here (STAGEDOOR_SHARED)")
def test_a_published_description_is_called(gateway: Start, service: Service, tmp_path: Path) -> None:
    assert SHARED is not None
    for name in ("pet-coupons.openapi.yaml", "bnpl-openapi.yaml"):
        (tmp_path / name).write_bytes((SHARED / "arazzo" / name).read_bytes())
    key, loan = {"bearer": {"token": "key-of-pets"}}, {"loanTransactionId": "a/b"}
    do = [
        {"find": task("pet-coupons.openapi.yaml", "findPetsByTags", {"tags": ["a", "b c"]}, authentication=key)},
        {"coupons": task("pet-coupons.openapi.yaml", "getPetCoupons", {"petId": "${ .number }"}, authentication=key)},
        {"loan": task("bnpl-openapi.yaml", "retrieveBnplLoanTransaction", loan, output="response")},
    ]
    document(tmp_path, do)
    servers = '{"pet-coupons.openapi.yaml": "cluster://service/v3", "bnpl-openapi.yaml": "cluster://service"}'
    running = gateway(config(service.port, extra=f"engine: {{servers: {servers}}}"))
    answer = running.request("POST", "/flow", {})
    assert answer.status == 200, (answer, running.log)
    assert [seen.path for seen in service.requests] == [
        "/v3/pet/findByTags?tags=a&tags=b%20c",
        "/v3/pet/1/coupons",
        "/bnpl/v1/loan-transactions/a%2Fb",
    ]
    assert answer.json["request"]["uri"] == "cluster://service/bnpl/v1/loan-transactions/a%2Fb"


class Describing(Service):
    """``/api.json`` is its description; the key goes in the query."""

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        if path != "/api.json":
            return super().decide(path, number)
        scheme = {"type": "apiKey", "in": "query", "name": "key"}
        operation = {"operationId": "show", "security": [{"key": []}]}
        body = {
            "swagger": "2.0",
            "schemes": ["http"],
            "basePath": "/v1",
            "securityDefinitions": {"key": scheme},
            "paths": {"/shown": {"get": operation}},
        }
        return 200, "application/json", json.dumps(body).encode()


def test_a_description_of_the_web_is_fetched_once_and_kept(gateway: Start, tmp_path: Path) -> None:
    with Describing() as service:
        uri = f"{service.url}/api.json"
        document(tmp_path, [{"one": task(uri, "show", authentication={"bearer": {"token": "k&y"}})}])
        closed = check(_written(tmp_path, config(1)))
        [problem] = closed.problems
        assert f"{uri} may not be fetched" in problem.message
        assert f"keep a copy as documents/127.0.0.1_{service.port}/api.json" in (problem.hint or "")
        running = gateway(config(1, extra=f'engine: {{allow_hosts: ["{service.url}"]}}'))
        assert running.request("POST", "/flow", {}).json["path"] == "/v1/shown?key=k%26y"
        assert len(service.to("/api.json")) == 1
        assert running.end() == 0
    assert check(tmp_path / "stagedoor.yaml").problems == [], "the copy serves without the network"
    (tmp_path / "documents" / f"127.0.0.1_{service.port}" / "api.json").unlink()
    [problem] = check(tmp_path / "stagedoor.yaml").problems
    assert "cannot be fetched" in problem.message


def _written(folder: Path, text: str) -> Path:
    (folder / "stagedoor.yaml").write_text(text)
    return folder / "stagedoor.yaml"
