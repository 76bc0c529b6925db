"""From a document, as YAML or JSON gave it, to a definition; or every reason why it cannot be run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from stagedoor.errors import InvalidDefinition, Problem
from stagedoor.workflow import attribute, compensation
from stagedoor.workflow import schedule as schedules
from stagedoor.workflow.compiler import Compiler, Within
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.expression import BASE
from stagedoor.workflow.place import Place, kind
from stagedoor.workflow.resource import KEY, Pinned, Source
from stagedoor.workflow.tasks.do import block

Json = Any

MAX_NESTING = 100
"""Objects and lists inside each other in a document."""

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-+][0-9A-Za-z.+-]+)?\Z")
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\Z")
_USE = {"functions", "retries", "errors", "timeouts", "authentications", "secrets", "catalogs", "extensions"}


NOTHING = Pinned({})
"""A source of resources that has none."""


def parse(document: Json, source: Source = NOTHING) -> Definition:
    """Raises ``InvalidDefinition`` with all problems, each located by its path from the document's root. ``source`` has
    what the document refers to."""
    problems: list[Problem] = []
    plain = _plain(document, (), problems)
    if problems:
        raise InvalidDefinition(problems)
    root = Place(plain, (), problems)
    definition = _definition(root, problems, source)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or definition is None:
        raise InvalidDefinition(problems)
    return definition


def stored(definition: Definition) -> Json:
    """The document with all that it refers to, from which ``restore`` makes the same definition again."""
    return {**definition.document, KEY: definition.resources} if definition.resources else definition.document


def restore(stored: Json) -> Definition:
    """Raises ``InvalidDefinition`` if this release cannot run it."""
    document = {key: value for key, value in stored.items() if key != KEY}
    return parse(document, Pinned(stored.get(KEY, {})))


def canonical(document: Json) -> str:
    """The one JSON text of a document: sorted keys, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _definition(root: Place, problems: list[Problem], source: Source) -> Definition | None:
    complete = root.mapping(required=("document", "do"))
    if not isinstance(root.value, dict):
        return None
    root.keys({"document", "input", "use", "do", "output", "evaluate", "timeout", "schedule"}, common=False)
    use = root.at("use")
    known = use.value is not None and use.mapping()
    if known:
        use.keys(_USE, common=False)
    loose = "evaluate" in root.value and _evaluate(root.at("evaluate")) == "loose"
    compiler = Compiler(problems, use if known else None, source, loose=loose)
    head = root.at("document")
    saga = compensation.saga(head) if isinstance(head.value, dict) else None
    named = "document" in root.value and _head(head)
    workflow_level = tuple(name for name in BASE if name != "$task")
    input_from = compiler.filter(root, "input", "from", ("$workflow", "$runtime"))
    output_as = compiler.filter(root, "output", "as", workflow_level)
    input_schema, output_schema = compiler.schema(root, "input"), compiler.schema(root, "output")
    timeout = compiler.timeout(root.at("timeout"), workflow_level) if "timeout" in root.value else None
    about = attribute.compile(head.at("metadata"), compiler, ("$workflow", "$runtime"))
    schedule = schedules.compile(root.at("schedule"), compiler) if "schedule" in root.value else None
    within = Within(saga=saga) if saga is not None else Within()
    tasks = compiler.tasks(root.at("do"), "/do", within) if "do" in root.value else ()
    compiler.unused()
    if not complete or not named or saga is None:
        return None
    return Definition(
        namespace=head.value["namespace"],
        name=head.value["name"],
        version=head.value["version"],
        document=root.value,
        hash=_hash(root.value, compiler.resources.pinned),
        root=block(tasks, head.value["name"], "", timeout=timeout),
        saga=saga,
        input_from=input_from,
        output_as=output_as,
        attributes=about,
        schedule=schedule,
        input_schema=input_schema,
        output_schema=output_schema,
        clusters=frozenset(compiler.clusters),
        hosts=frozenset(compiler.hosts),
        activities=compiler.activities,
        secrets=compiler.secrets,
        secrets_of_schemes=frozenset(compiler.secrets_of_schemes),
        invalidates=compiler.invalidates,
        listens=compiler.listens,
        reached=frozenset(compiler.reached),
        grpc_hosts=frozenset(compiler.grpc_hosts),
        resources=compiler.resources.pinned,
        computed_endpoints=tuple(dict.fromkeys(compiler.computed)),
        warnings=tuple(problem for problem in problems if problem.severity == "warning"),
    )


def _hash(document: Json, resources: Json) -> str:
    text = canonical(document) + (f"\n{canonical(resources)}" if resources else "")
    return sha256(text.encode()).hexdigest()


def _head(head: Place) -> bool:
    if not head.mapping(required=("dsl", "namespace", "name", "version")):
        return False
    head.keys({"dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"}, common=False)
    for key, pattern, what in (
        ("dsl", _VERSION, "a version like '1.0.3'"),
        ("namespace", _NAME, "letters, digits and hyphens, at most 63 characters"),
        ("name", _NAME, "letters, digits and hyphens, at most 63 characters"),
        ("version", _VERSION, "a version like '1.0.0'"),
    ):
        text = head.at(key).text()
        if text is not None and not pattern.match(text):
            head.at(key).problem(f"{text!r} is not {what}")
    dsl = head.value["dsl"]
    if isinstance(dsl, str) and _VERSION.match(dsl) and not dsl.startswith("1.0."):
        head.at("dsl").unsupported(f"version {dsl} of the DSL", "1.0.3 is the current one")
    return True


def _evaluate(place: Place) -> str:
    """The mode."""
    if not place.mapping():
        return "strict"
    place.keys({"language", "mode"}, common=False)
    language = place.at("language")
    if language.given and language.text() not in ("jq", None):
        language.problem("not supported: expressions in another language than jq")
    return place.at("mode").choice(("strict", "loose"), "strict")


def _plain(value: Json, path: tuple[str | int, ...], problems: list[Problem]) -> Json:
    """The document as plain JSON: what a YAML reader adds to its values is left behind."""
    if len(path) > MAX_NESTING:
        problems.append(Problem(path, f"nested deeper than {MAX_NESTING} levels"))
        return None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            problems.append(Problem(path, "a number must be finite"))
        return float(value)
    if isinstance(value, Mapping):
        return {_name(key, path, problems): _plain(below, (*path, str(key)), problems) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, index), problems) for index, item in enumerate(value)]
    problems.append(Problem(path, f"{kind(value)} is not JSON", "put it in quotes"))
    return None


def _name(key: Json, path: tuple[str | int, ...], problems: list[Problem]) -> str:
    if not isinstance(key, str):
        problems.append(Problem((*path, str(key)), f"a key must be a string, found {kind(key)}", "put it in quotes"))
    return str(key)
