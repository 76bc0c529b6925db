"""The specification's own conformance scenarios, byte for byte, through a real gateway: what they call on the web is
led to stand-ins over HTTPS, by ``engine.servers`` alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from authority import Authority
from gherkin import Compiler, Parser
from ruamel.yaml import YAML
from running import Gateway, until
from scenario import shared
from service import Service

Json = Any
SHARED = shared()
DESCRIPTION = (Path(__file__).parent / "petstore.json").read_bytes()
PETS = [{"id": number, "name": "Milou", "status": "available"} for number in (1, 2)]


class Petstore(Service):
    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        parts = urlsplit(path)
        found: Json = None
        if parts.path == "/v2/swagger.json":
            return 200, "application/json", DESCRIPTION
        if parts.path == "/v2/pet/findByStatus":
            found = [pet for pet in PETS if pet["status"] in parse_qs(parts.query)["status"]]
        elif match := re.fullmatch(r"/v2/pet/(\d+)", parts.path):
            found = next((pet for pet in PETS if pet["id"] == int(match[1])), None)
        if found is None:
            return 404, "application/json", b'{"code": 404, "type": "unknown"}'
        return 200, "application/json", json.dumps(found).encode()


class Httpbin(Service):
    """``/basic-auth/USER/PASSWORD`` is for who proves both."""

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        _, kind, user, password = path.split("/")
        proof = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        known = kind == "basic-auth" and self.requests[-1].headers.get("authorization") == proof
        body = json.dumps({"authenticated": known, "user": user}).encode()
        return (200 if known else 401), "application/json", body


class Step(NamedTuple):
    text: str
    content: str | None
    """Of its doc string."""


@dataclass
class Scenario:
    name: str
    steps: list[Step] = field(default_factory=list)

    @property
    def document(self) -> str:
        return next(step.content or "" for step in self.steps if step.text == "a workflow with definition:")


def scenarios() -> Iterator[Scenario]:
    """As Cucumber's own reader of Gherkin has them."""
    for path in sorted((SHARED / "ows" / "ctk").glob("*.feature")) if SHARED is not None else ():
        feature = Parser().parse(path.read_text())
        for pickle in Compiler().compile({**feature, "uri": path.name}):
            steps = [(each["text"], each.get("argument", {}).get("docString", {})) for each in pickle["steps"]]
            yield Scenario(pickle["name"], [Step(text, doc.get("content")) for text, doc in steps])


SCENARIOS = list(scenarios())
pytestmark = pytest.mark.skipif(SHARED is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")


class Setting(NamedTuple):
    gateways: list[tuple[Gateway, dict[str, str]]]
    """Each with its documents' texts → where they are started."""
    petstore: Petstore
    httpbin: Httpbin

    def execute(self, document: str, input: Json) -> Json:
        """What came of it, as the admin endpoint shows executions."""
        gateway, path = next((gateway, paths[document]) for gateway, paths in self.gateways if document in paths)
        started = gateway.request("POST", path, input, {"prefer": "respond-async"})
        assert started.status == 202, (started, gateway.log)
        id = started.headers["location"].rpartition("/")[2]

        def ended() -> Json:
            shown = gateway.admin(f"/executions/{id}").json
            return shown if shown["status"] in ("completed", "faulted") else None

        return until(ended)


CONFIG = """
listeners: {{door: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
clusters:
  petstore:
    endpoints: ["{petstore}"]
    tls: {{ca: authority.pem, server_name: petstore.swagger.io}}
    timeouts: {{connect: 20s}}
  httpbin:
    endpoints: ["{httpbin}"]
    tls: {{ca: authority.pem, server_name: httpbin.org}}
    timeouts: {{connect: 20s}}
engine:
  servers: {{"https://petstore.swagger.io": "cluster://petstore", "https://httpbin.org": "cluster://httpbin"}}
workflows: ["*.workflow.yaml"]
routes:
"""
ROUTE = """
  {name}: {{match: {{path: "/{name}"}}, target: {{workflow: "default/{name}", input: "${{ .body }}"}}}}
"""


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    top = tmp_path_factory.mktemp("conformance")
    authority = Authority(top)
    with (
        ExitStack() as stack,
        Petstore(authority.server("petstore.swagger.io")) as petstore,
        Httpbin(authority.server("httpbin.org")) as httpbin,
    ):
        gateways = []
        for number, documents in enumerate(shared_out(each.document for each in SCENARIOS)):
            folder = top / str(number)
            folder.mkdir()
            shutil.copy(authority.file, folder)
            text = CONFIG.format(petstore=petstore.url, httpbin=httpbin.url)
            for name, document in documents.items():
                (folder / f"{name}.workflow.yaml").write_text(document)
                text += ROUTE.format(name=name)
            (folder / "stagedoor.yaml").write_text(text)
            gateway = Gateway(folder)
            stack.callback(gateway.kill)
            assert gateway.addresses, gateway.log
            gateways.append((gateway, {document: f"/{name}" for name, document in documents.items()}))
        yield Setting(gateways, petstore, httpbin)


def shared_out(documents: Iterable[str]) -> list[dict[str, str]]:
    """By name, to as few gateways as there are workflows of one name."""
    gateways: list[dict[str, str]] = []
    for document in documents:
        name = load(document)["document"]["name"]
        gateway = next((each for each in gateways if name not in each), None)
        if gateway is None:
            gateways.append(gateway := {})
        gateway[name] = document
    return gateways


def load(text: str | None) -> Json:
    return None if text is None else YAML(typ="safe", pure=True).load(text)


def test_all_scenarios_of_the_kit_are_found() -> None:
    assert len(SCENARIOS) == 21


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_of_the_kit_holds(setting: Setting, scenario: Scenario) -> None:
    document, input, shown = "", None, None
    for text, content in scenario.steps:
        if text == "a workflow with definition:":
            document = content or ""
        elif text == "given the workflow input is:":
            input = load(content)
        elif text == "the workflow is executed":
            shown = setting.execute(document, input)
        else:
            step, match = next((step, match) for step in STEPS if (match := re.fullmatch(step, text)))
            STEPS[step](shown, load(content), *match.groups())


def ends(shown: Json, data: Json, status: str, what: str | None) -> None:
    assert shown["status"] == {"complete": "completed", "fault": "faulted"}[status], shown
    if what is not None:
        if what == "error":
            # What was undone is told in a member of our own (RFC 9457 §3.2).
            assert shown["error"].pop("compensation")["status"] == "none"
        assert shown[what] == data


def has(shown: Json, data: Json, names: str) -> None:
    for name in re.findall("'([^']+)'", names):
        at(shown, name)


def has_value(shown: Json, data: Json, name: str) -> None:
    assert at(shown, name) == data


def has_items(shown: Json, data: Json, name: str, items: str) -> None:
    assert len(at(shown, name)) == int(items)


def ran(shown: Json, data: Json, task: str, where: str, other: str | None) -> None:
    names = [entry["name"] for entry in shown["timeline"]]
    if where == "after":
        assert names.index(task) > names.index(other)
    else:
        assert names[0 if where == "first" else -1] == task


def at(shown: Json, name: str) -> Json:
    value = shown["output"]
    for key in name.split("."):
        assert key in value, f"{name} in {value}"
        value = value[key]
    return value


STEPS: dict[str, Callable[..., None]] = {
    r"the workflow should (complete|fault)(?: with (output|error):)?": ends,
    r"the workflow output should have properties (.+)": has,
    r"the workflow output should have a '([^']+)' property with value:": has_value,
    r"the workflow output should have a '([^']+)' property containing (\d+) items": has_items,
    r"(\w+) should run (first|last|after)(?: (\w+))?": ran,
}


def test_a_description_is_fetched_from_where_its_server_is_led_and_calls_keep_its_name(setting: Setting) -> None:
    document = next(each.document for each in SCENARIOS if each.name == "Call OpenAPI With Response Output")
    setting.petstore.requests.clear()
    shown = setting.execute(document, {"petId": 2})
    assert [seen.path for seen in setting.petstore.requests] == ["/v2/pet/2"], "it is read from the copy"
    assert shown["output"]["request"]["uri"] == "https://petstore.swagger.io/v2/pet/2"
    assert shown["timeline"][0]["call"] == "GET https://petstore.swagger.io/v2/pet/2"
    gateway = setting.gateways[0][0]
    kept = gateway.folder / "documents" / "petstore.swagger.io" / "v2" / "swagger.json"
    assert kept.read_bytes() == DESCRIPTION


def test_credentials_reach_who_asks_for_them(setting: Setting) -> None:
    document = next(each.document for each in SCENARIOS if each.name == "Call HTTP Using Basic Authentication")
    known = setting.execute(document, {"username": "ann", "password": "word"})
    assert known.get("output") == {"authenticated": True, "user": "ann"}, known
