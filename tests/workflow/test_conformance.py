"""The specification's own conformance scenarios (Gherkin), with the answers of the public services they call given as
events, and the description of one by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from scenario import RESOURCES, shared
from stagedoor.workflow.commands import Call
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import parse
from virtual import Driver

SHARED = shared()
PET = {"id": 1, "name": "Milou", "status": "available"}
PETSTORE = {
    "https://petstore.swagger.io/v2/pet/findByStatus?status=available": {"status": 200, "content": [PET]},
    "https://petstore.swagger.io/v2/pet/1": {"status": 200, "content": PET},
    "https://petstore.swagger.io/v2/pet/2": {"status": 200, "content": {**PET, "id": 2}},
    "https://httpbin.org/basic-auth/serverless-workflow/conformance-test": {"status": 200, "content": {"user": "x"}},
    "https://petstore.swagger.io/v2/pet/getPetByName/Milou": {"status": 404, "content": None},
}


@dataclass
class Scenario:
    name: str
    steps: list[tuple[str, Any]] = field(default_factory=list)


class Petstore(Driver):
    def _answer(self, call: Call) -> None:
        self.answers[call.task.rpartition("/")[2]] = [PETSTORE[call.endpoint]]
        super()._answer(call)


def read(path: Path) -> list[Scenario]:
    scenarios: list[Scenario] = []
    block: list[str] | None = None
    for line in path.read_text().splitlines():
        text = line.strip()
        if text.startswith('"""'):
            if block is None:
                block = []
            else:
                step, _ = scenarios[-1].steps[-1]
                scenarios[-1].steps[-1] = (step, YAML(typ="safe", pure=True).load("\n".join(block)))
                block = None
        elif block is not None:
            block.append(line)
        elif text.startswith("Scenario:"):
            scenarios.append(Scenario(text.partition(":")[2].strip()))
        elif (match := re.match(r"(?:Given|When|Then|And)\s+(.+)", text)) and scenarios:
            scenarios[-1].steps.append((match[1].strip(), None))
    return scenarios


def found() -> list[Scenario]:
    if SHARED is None:
        return []
    return [scenario for path in sorted((SHARED / "ows" / "ctk").rglob("*.feature")) for scenario in read(path)]


SCENARIOS = found()
needs_shared = pytest.mark.skipif(SHARED is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")


@needs_shared
def test_all_scenarios_of_the_kit_are_found() -> None:
    assert len(SCENARIOS) == 21


@needs_shared
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_of_the_kit_holds(scenario: Scenario) -> None:
    document: Any = None
    input: Any = None
    machine: Machine | None = None
    for step, data in scenario.steps:
        if step == "a workflow with definition:":
            document = data
        elif step == "given the workflow input is:":
            input = data
        elif step == "the workflow is executed":
            machine = Petstore(parse(document, RESOURCES)).run(input)
        else:
            assert machine is not None
            check(step, data, machine)


def check(step: str, data: Any, machine: Machine) -> None:
    ran = [entry["name"] for entry in machine.timeline()]
    if step.startswith("the workflow should complete"):
        assert machine.status == "completed"
        assert data is None or machine.output == data
    elif step.startswith("the workflow should fault"):
        assert machine.status == "faulted"
        assert data is None or machine.error == data
    elif match := re.match(r"the workflow output should have properties (.+)", step):
        for path in re.findall(r"'([^']+)'", match[1]):
            property_of(machine.output, path)
    elif match := re.match(r"the workflow output should have a '([^']+)' property with value:", step):
        assert property_of(machine.output, match[1]) == data
    elif match := re.match(r"the workflow output should have a '([^']+)' property containing (\d+) items", step):
        assert len(property_of(machine.output, match[1])) == int(match[2])
    elif match := re.match(r"(\w+) should run first", step):
        assert ran[0] == match[1]
    elif match := re.match(r"(\w+) should run last", step):
        assert ran[-1] == match[1]
    elif match := re.match(r"(\w+) should run after (\w+)", step):
        assert ran.index(match[1]) > ran.index(match[2])
    else:
        pytest.fail(f"a step that this runner does not know: {step}")


def property_of(value: Any, path: str) -> Any:
    for key in path.split("."):
        assert key in value, f"{path} in {value}"
        value = value[key]
    return value
