"""What the specification's JSON Schema accepts is accepted or refused for a reason that no schema can know; what it
refuses is refused."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import jsonschema
import pytest
from collection import kit, own
from ruamel.yaml import YAML
from scenario import RESOURCES, SHARED, document
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.cloud_event import is_time
from stagedoor.workflow.parse import parse
from test_robustness import damaged, places

JUNK = [None, True, 0, -1, 1e300, "", "x", "a b", "${", "${ . }", [], [1], {}, {"a": 1}, {"do": []}, [{"a": {}}], "end"]
REASONS = (
    # What a gateway has no use for, or not yet.
    *("not supported", "containers are not run here"),
    # Names that must be there.
    *("no function named", "no retry policy named", "no error named", "no timeout named", "no authentication named"),
    *("no task named", "no secret named", "the name", "a task cannot be named", "functions call each other"),
    # What could never run.
    *("expected at least one", "the expression does not compile", "is not an HTTP method", "case ", "each and at are"),
    *("an endpoint", "the endpoint", "variables and credentials", "a duration lies", "every is at least"),
    *("a schedule is of one kind", "it is not a valid schema", "a schema has a document", "item and at are both"),
    *("a cron expression", "is no ", "there is no such day", "unbalanced braces", "the pattern", "jitter"),
    # What runs stands in the document; and data are told from expressions.
    *("what is run stands in", "header ", "is the name of a variable"),
    # What calls refer to, and what their services and authorities want.
    *("cannot be read here", "there is no operation", "it is not an OpenAPI", "it is neither OpenAPI", "the operation"),
    *("is not the name of a function", "no catalog named", "the grant", "needs", "an authority", "the authority"),
    *("there is no service", "has no method", "is neither the name of a cluster", "a version of the protocol"),
    *("the secret", "an authentication is of one kind", "a port is a number"),
    # Ours, in metadata, and words that the schema leaves open.
    *("unknown metadata key", "unknown key", "is missing", "or is left out", "a task of no kind", "a number from"),
    *("expected a", "a task is of one kind", "is not one of", "is not a version", "the parameters"),
)
"""Parts of the messages of those refusals that a document which fits the schema may meet."""

needs_shared = pytest.mark.skipif(SHARED is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")


def documents(each: int = 1) -> list[Any]:
    """Those of the specification, and each so manieth of our own."""
    if SHARED is None:
        return []
    yaml = YAML(typ="safe", pure=True)
    found = [yaml.load(path.read_text()) for path in sorted((SHARED / "ows" / "examples").glob("*.yaml"))]
    found += [document(case) for _, case in kit()]
    found += [document(case) for _, case in own()[::each]]
    return [json.loads(json.dumps(each)) for each in found]


def validator() -> Any:
    assert SHARED is not None
    schema = YAML(typ="safe", pure=True).load((SHARED / "ows" / "schema" / "workflow.yaml").read_text())
    formats = jsonschema.FormatChecker([])
    formats.checks("date-time")(lambda value: not isinstance(value, str) or is_time(value))
    return jsonschema.Draft202012Validator(schema, format_checker=formats)


def compared(schema: Any, whole: Any) -> str | None:
    """How the parser and the schema differ without a reason."""
    try:
        parse(copy.deepcopy(whole), RESOURCES)
    except InvalidDefinition as invalid:
        if schema.is_valid(whole):
            told = [problem.message for problem in invalid.problems if problem.severity == "error"]
            odd = [message for message in told if not any(reason in message for reason in REASONS)]
            return f"refused without need: {odd}" if odd else None
        return None
    error = jsonschema.exceptions.best_match(schema.iter_errors(whole))
    return None if error is None else f"accepted, but {list(error.absolute_path)}: {error.message}"


@needs_shared
def test_every_document_of_the_specification_is_what_its_schema_says() -> None:
    schema = validator()
    # The validator takes its time.
    assert [found for whole in documents(10) if (found := compared(schema, whole)) is not None] == []


@needs_shared
@pytest.mark.parametrize("seed", range(4))
def test_damaged_documents_are_what_the_schema_says(seed: int) -> None:
    schema, chance, wholes = validator(), random.Random(seed), documents()
    for _ in range(60):
        whole = chance.choice(wholes)
        wrong = damaged(
            whole, chance.choice(places(whole)), chance.choice(JUNK), chance.choice(["replace", "remove", "rename"])
        )
        found = compared(schema, wrong)
        assert found is None, (found, wrong)
