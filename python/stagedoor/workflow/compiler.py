"""Turns places of a document into compiled parts of a definition. Task kinds compile themselves, in ``tasks/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from stagedoor._core import ExpressionError
from stagedoor.errors import Problem
from stagedoor.workflow import attribute as attributes
from stagedoor.workflow import authentication as authentications
from stagedoor.workflow import catalog, invalidation, secret
from stagedoor.workflow import check as checks
from stagedoor.workflow import compensation as compensations
from stagedoor.workflow import duration as durations
from stagedoor.workflow import extension as extensions
from stagedoor.workflow import retry as retries
from stagedoor.workflow import schema as schemas
from stagedoor.workflow.attribute import Attributes
from stagedoor.workflow.definition import Check, Compensation, Mark, SagaPolicy, Task
from stagedoor.workflow.endpoint import Endpoint
from stagedoor.workflow.expression import (
    AUTHORIZATION,
    BASE,
    Compiled,
    Loose,
    Template,
    constant,
    mapping,
    names,
    sequence,
    unknown_names,
    unmarked,
    wrapped,
)
from stagedoor.workflow.place import COMMON, Place, suggestion, token
from stagedoor.workflow.resource import Form, Resources, Source, external
from stagedoor.workflow.retry import Duration
from stagedoor.workflow.schema import Schema
from stagedoor.workflow.tasks import KINDS, UNSUPPORTED
from stagedoor.workflow.tasks.raise_ import error as compile_error

Json = Any

MAX_DEPTH = 32
"""Tasks inside tasks, functions included."""
MAX_TASKS = 5_000
"""Compiled tasks of one definition; a function counts once for each task that calls it."""
DIRECTIVES = ("continue", "exit", "end")
BROKEN = Compiled("null", ())
"""Stands where an expression has a problem; a definition with problems is never run."""


class Common(TypedDict):
    name: str
    reference: str
    document: Json
    condition: Template | None
    input_from: Template | None
    output_as: Template | None
    export_as: Template | None
    input_schema: Schema | None
    output_schema: Schema | None
    export_schema: Schema | None
    timeout: Duration | None
    then: str
    compensation: Compensation | None
    mark: Mark | None
    check: Check | None
    attributes: Attributes | None


@dataclass(frozen=True, slots=True)
class Within:
    """What surrounds a task."""

    variables: tuple[str, ...] = BASE
    siblings: tuple[str, ...] = ()
    depth: int = 0
    functions: tuple[str, ...] = ()
    undo: bool = False
    plain: bool = False
    """Of an extension, or an undo: not extended."""
    saga: SagaPolicy = SagaPolicy()  # noqa: RUF009 - immutable

    def having(self, *variables: str) -> Within:
        return replace(self, variables=tuple(dict.fromkeys((*self.variables, *variables))))


class Compiler:
    def __init__(self, problems: list[Problem], use: Place | None, source: Source, *, loose: bool = False) -> None:
        """``loose``: text in a value is tried as an expression."""
        self.problems = problems
        self.loose = loose
        self.functions = _table(use, "functions")
        self.retries = _table(use, "retries")
        self.errors = _table(use, "errors")
        self.timeouts = _table(use, "timeouts")
        self.extensions = extensions.declared(use.at("extensions")) if use and "extensions" in use.value else ()
        self.authentications = _table(use, "authentications")
        self.authentications_used: set[str] = set()
        self.catalogs = _table(use, "catalogs")
        self.secrets = secret.declared(use.at("secrets")) if use and "secrets" in use.value else frozenset()
        self.secrets_of_schemes: set[tuple[str, str]] = set()
        self.clusters: set[str] = set()
        self.activities: dict[str, tuple[str | int, ...]] = {}
        self.hosts: set[str] = set()
        self.invalidates: dict[str, tuple[str, ...]] = {}
        self.listens = False
        self.attributes: set[str] = set()
        """Names of all attributes."""
        self.computed: list[str] = []
        self.processes: list[tuple[str, str]] = []
        """Language and reference of every task that runs a process."""
        self.undone: list[tuple[Place, str]] = []
        """Names of tasks that are asked to be undone."""
        self.undoable: set[str] = set()
        self.grpc_hosts: set[str] = set()
        self.reached: set[tuple[tuple[str | int, ...], str]] = set()
        self.resources = Resources(source)
        self._tasks = 0

    def unused(self) -> None:
        """Check what nothing refers to as well, and what is referred to before it is known."""
        for place, name in self.undone:
            if name not in self.undoable:
                near = suggestion(name, self.undoable)
                hint = f"did you mean {near!r}?" if near else "only a task with stagedoor/compensate can be undone"
                place.problem(f"no task named {name!r} can be undone", hint)
        for name, place in self.functions.items():
            self.function(place, name, f"/use/functions/{token(name)}", Within())
        for place in self.retries.values():
            retries.compile(place, (*BASE, "$error"), self, loosely=True)
        for place in self.errors.values():
            compile_error(place, self, Within())
        for place in self.timeouts.values():
            self.timeout(place, BASE)
        extensions.check(self.extensions, self, Within(plain=True))
        for place in self.catalogs.values():
            catalog.check(place)
        for name, place in self.authentications.items():
            if name not in self.authentications_used:
                authentications.policy(place, self, Within())

    def reaches(self, endpoint: Endpoint, place: Place | None = None) -> None:
        """Something is called there; ``place`` is where it follows from, if it does not stand in the document."""
        if place is not None:
            self.reached.add((place.path, endpoint.parts[0]))
        if endpoint.cluster is not None:
            self.clusters.add(endpoint.cluster)
        else:
            self.hosts.add(endpoint.origin)

    # Tasks

    def tasks(self, place: Place, reference: str, within: Within, *, alone: bool = False) -> tuple[Task, ...]:
        """``alone``: they do not follow each other, so none can name another in ``then``."""
        listed = list(place.items(minimum=1))
        siblings = () if alone else tuple(name for name, _ in listed)
        inner = replace(within, siblings=siblings, depth=within.depth + 1)
        compiled = []
        for name, item in listed:
            if name in DIRECTIVES:
                item.problem(f"a task cannot be named {name!r}: then: would mean the directive")
            index = item.path[-2]
            task = self.task(name, item, f"{reference}/{index}/{token(name)}", inner)
            if task is not None:
                compiled.append(task)
        return tuple(compiled)

    def task(self, name: str, place: Place, reference: str, within: Within) -> Task | None:
        self._tasks += 1
        if self._tasks > MAX_TASKS or within.depth > MAX_DEPTH:
            what = (
                f"more than {MAX_TASKS} tasks" if self._tasks > MAX_TASKS else f"tasks nested deeper than {MAX_DEPTH}"
            )
            Place(None, place.path[:1], self.problems).problem(f"{what}, each function counted where it is called")
            return None
        if not place.mapping():
            return None
        kinds = [key for key in place.value if key in KINDS or key in UNSUPPORTED]
        if "for" in kinds and "do" in kinds:
            kinds.remove("do")
        if len(kinds) != 1:
            self._no_kind(place, kinds)
            return None
        if kinds[0] in UNSUPPORTED:
            place.at(kinds[0]).unsupported(f"{kinds[0]} tasks")
            return None
        task = KINDS[kinds[0]](place, self._common(name, place, reference, within), self, within)
        if task is None or not self.extensions or within.plain:
            return task
        return extensions.extend(task, kinds[0], self.extensions, self, within)

    def function(self, place: Place, name: Json, reference: str, within: Within) -> Task | None:
        """The body of a function, compiled for one caller."""
        if not isinstance(name, str):
            place.text()
            return None
        found = self.functions.get(name)
        if found is None:
            if catalog.is_of_catalog(name):
                return self._cataloged(place, name, reference, within)
            near = suggestion(name, self.functions)
            hint = f"did you mean {near!r}?" if near else "declare it in use.functions"
            place.problem(f"no function named {name!r}", hint)
            return None
        if name in within.functions:
            place.problem(f"functions call each other in a circle: {' → '.join((*within.functions, name))}")
            return None
        inner = replace(
            within,
            variables=BASE,
            siblings=(),
            depth=within.depth + 1,
            functions=(*within.functions, name),
        )
        return self.task(name, found, reference, inner)

    def _cataloged(self, place: Place, name: str, reference: str, within: Within) -> Task | None:
        if name in within.functions:
            place.problem(f"functions call each other in a circle: {' → '.join((*within.functions, name))}")
            return None
        found = catalog.function(place, name, self)
        if found is None:
            return None
        inner = replace(
            within, variables=BASE, siblings=(), depth=within.depth + 1, functions=(*within.functions, name)
        )
        task = self.task(name, found, reference, inner)
        catalog.told(found, place, name)
        return task

    def _no_kind(self, place: Place, kinds: list[str]) -> None:
        if kinds:
            place.problem(f"a task is of one kind, this one has {' and '.join(map(repr, kinds))}")
            return
        words = [*KINDS, *UNSUPPORTED]
        near = next((close for key in place.value if key not in COMMON and (close := suggestion(key, words))), None)
        hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(KINDS)}"
        place.problem("a task of no kind", hint)

    def _common(self, name: str, place: Place, reference: str, within: Within) -> Common:
        said = place.value
        if groups := invalidation.compile(place.at("metadata")):
            self.invalidates[reference] = groups
        without_input = tuple(variable for variable in within.variables if variable != "$input")
        as_variables = tuple(dict.fromkeys((*within.variables, AUTHORIZATION)))
        with_output = (*as_variables, "$output")
        return Common(
            name=name,
            reference=reference,
            document=said,
            condition=self.expression(place.at("if"), within.variables) if "if" in said else None,
            input_from=self.filter(place, "input", "from", without_input),
            output_as=self.filter(place, "output", "as", as_variables),
            export_as=self.filter(place, "export", "as", with_output),
            input_schema=self.schema(place, "input"),
            output_schema=self.schema(place, "output"),
            export_schema=self.schema(place, "export"),
            timeout=self.timeout(place.at("timeout"), within.variables) if "timeout" in said else None,
            then=self.directive(place.at("then"), within) if "then" in said else "continue",
            compensation=(
                compensations.compile(place.at("metadata"), reference, self, within, KINDS)
                if "metadata" in said
                else None
            ),
            mark=compensations.mark(place) if "metadata" in said else None,
            check=checks.compile(place, reference, self, within) if "metadata" in said else None,
            attributes=attributes.compile(place.at("metadata"), self, with_output) if "metadata" in said else None,
        )

    def directive(self, place: Place, within: Within) -> str:
        then = place.value
        if then in DIRECTIVES or (isinstance(then, str) and then in within.siblings):
            return str(then)
        if isinstance(then, str):
            near = suggestion(then, (*within.siblings, *DIRECTIVES))
            hint = f"did you mean {near!r}?" if near else "expected continue, exit, end or a task of the same list"
            place.problem(f"no task named {then!r} in this list", hint)
        else:
            place.text()
        return "continue"

    # Values

    def expression(self, place: Place, variables: Sequence[str]) -> Compiled:
        """A field that is an expression by its type: ``${ }`` around it may be left out."""
        text = place.text()
        if text is None:
            return BROKEN
        return self._compile(place, wrapped(text) or text, variables)

    def template(
        self,
        place: Place,
        within: Within | Sequence[str],
        order: Sequence[str] | None = None,
        *,
        strict: bool = False,
    ) -> Template:
        """A value that may contain ``${ … }`` anywhere inside. ``order`` sorts the keys of an object; ``strict``: text
        is an expression only with ``${ }``, whatever the document's mode."""
        variables = within.variables if isinstance(within, Within) else within
        value, template = self._part(place, variables, self.loose and not strict, order)
        return template or constant(value)

    def filter(self, place: Place, section: str, key: str, variables: Sequence[str]) -> Template | None:
        """``input.from``, ``output.as`` or ``export.as``: an expression or an object."""
        if section not in place.value:
            return None
        inner = place.at(section)
        if not inner.mapping():
            return None
        inner.keys({key, "schema"}, common=False)
        if key not in inner.value:
            return None
        found = inner.at(key)
        if isinstance(found.value, dict):
            return self.template(found, variables)
        return self.expression(found, variables)

    def schema(self, place: Place, section: str) -> Schema | None:
        """``input.schema``, ``output.schema`` or ``export.schema``."""
        inner = place.at(section)
        if not isinstance(inner.value, dict) or "schema" not in inner.value:
            return None
        return schemas.compile(inner.at("schema"), section, self)

    def resource(self, place: Place, form: Form) -> Place | None:
        """What an external resource holds, as if it stood there."""
        uri = external(place)
        found = self.resources.get(uri, form, place.at("endpoint")) if uri is not None else None
        return None if found is None else Place(found, place.path, self.problems)

    def timeout(self, place: Place, variables: Sequence[str]) -> Duration | None:
        """Written out, or the name of one."""
        found = self.referenced(place, self.timeouts, "timeout", "use.timeouts")
        if found is None or not found.mapping(required=("after",)):
            return None
        found.keys({"after"}, common=False)
        return self.duration(found.at("after"), variables)

    def duration(self, place: Place, variables: Sequence[str]) -> Duration:
        if place.is_expression():
            return self.expression(place, variables)
        try:
            return durations.parse(place.value)
        except ValueError as error:
            place.problem(str(error))
            return 0.0

    def referenced(self, place: Place, table: dict[str, Place], what: str, where: str) -> Place | None:
        """The definition itself, or the one in ``use`` that a name refers to."""
        if not isinstance(place.value, str):
            return place
        found = table.get(place.value)
        if found is None:
            near = suggestion(place.value, table)
            hint = f"did you mean {near!r}?" if near else f"declare it in {where}"
            place.problem(f"no {what} named {place.value!r}", hint)
        return found

    def _compile(self, place: Place, source: str, variables: Sequence[str]) -> Compiled:
        try:
            late = secret.late_of(variables) & names(source)
            if late:
                for name in secret.undeclared(source, self.secrets):
                    near = suggestion(name, self.secrets)
                    place.problem(
                        f"no secret named {name!r}", f"did you mean {near!r}?" if near else "name it in use.secrets"
                    )
                return secret.LateExpression(source, variables)
            return Compiled(source, variables)
        except ExpressionError as error:
            hint = None
            if "${" in source:
                hint = 'a string holds one expression as a whole; join text inside it: ${ "a \\(.b)" }'
            elif "$secrets" in source:
                hint = "secrets are known in the authentication, headers, query and body of calls"
            elif AUTHORIZATION in names(source):
                hint = "$authorization is known in the headers, query and body of a call, in output.as and in export.as"
            else:
                for name in unknown_names(source, variables):
                    near = suggestion(name, variables)
                    hint = f"did you mean {near}?" if near else f"known here: {', '.join(variables)}"
            place.problem(f"the expression does not compile: {error}", hint)
            return BROKEN

    def literal(self, place: Place, variables: Sequence[str]) -> None:
        """Text that is taken as it is, where an expression would have been possible."""
        if "${" in place.value:
            hint = 'wrap the whole string: ${ "…\\(.name)" }'
            place.problem("'${' inside other text is taken literally", hint, "warning")
        elif unmarked(place.value, variables):
            hint = f"${{ {place.value.strip()} }} is an expression"
            place.problem(f"{place.value!r} is taken literally", hint, "warning")

    def _loosely(self, place: Place, variables: Sequence[str]) -> tuple[Json, Template | None]:
        """Text that is not marked as an expression."""
        source = place.value
        try:
            tried = Loose(source, variables)
        except ExpressionError:
            return source, None
        if secret.late_of(variables) & names(source):
            return None, self._compile(place, source, variables)
        return None, tried

    def _part(
        self, place: Place, variables: Sequence[str], loose: bool, order: Sequence[str] | None = None
    ) -> tuple[Json, Template | None]:
        value = place.value
        if isinstance(value, str):
            source = wrapped(value)
            if source is not None:
                return None, self._compile(place, source, variables)
            if loose:
                return self._loosely(place, variables)
            self.literal(place, variables)
        elif isinstance(value, dict):
            keys = sorted(value, key=order.index) if order and set(value) <= set(order) else list(value)
            entries = [(key, *self._part(place.at(key), variables, loose)) for key in keys]
            if order or any(template for _, _, template in entries):
                return None, mapping(entries)
        elif isinstance(value, list):
            items = [self._part(place.at(index), variables, loose) for index in range(len(value))]
            if any(template for _, template in items):
                return None, sequence(items)
        return value, None


def _table(use: Place | None, section: str) -> dict[str, Place]:
    if use is None or section not in use.value:
        return {}
    place = use.at(section)
    return {name: place.at(name) for name in place.value} if place.mapping() else {}
