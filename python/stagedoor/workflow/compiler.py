"""Turns places of a document into compiled parts of a definition. Task kinds compile themselves, in ``tasks/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, cast

from stagedoor._core import ExpressionError
from stagedoor.errors import Problem
from stagedoor.workflow import duration as durations
from stagedoor.workflow.definition import Compensation, OnFailure, SagaPolicy, Task
from stagedoor.workflow.expression import (
    BASE,
    Compiled,
    Template,
    constant,
    mapping,
    sequence,
    unknown_names,
    wrapped,
)
from stagedoor.workflow.place import COMMON, Place, suggestion
from stagedoor.workflow.retry import Duration, Retry
from stagedoor.workflow.tasks import KINDS, UNSUPPORTED
from stagedoor.workflow.tasks.raise_ import error as compile_error

Json = Any

MAX_DEPTH = 32
"""Tasks inside tasks, functions included."""
MAX_TASKS = 5_000
"""Compiled tasks of one definition; a function counts once for each task that calls it."""
DIRECTIVES = ("continue", "exit", "end")
UNDO_RETRY = Retry(delay=0.5, backoff="exponential", count=4)
"""Of an undo that names no policy: five attempts within about eight seconds."""
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
    then: str
    compensation: Compensation | None


@dataclass(frozen=True, slots=True)
class Within:
    """What surrounds a task."""

    variables: tuple[str, ...] = BASE
    siblings: tuple[str, ...] = ()
    depth: int = 0
    functions: tuple[str, ...] = ()
    undo: bool = False
    saga: SagaPolicy = SagaPolicy()  # noqa: RUF009 - immutable

    def having(self, *variables: str) -> Within:
        return replace(self, variables=tuple(dict.fromkeys((*self.variables, *variables))))


class Compiler:
    def __init__(self, problems: list[Problem], use: Place | None) -> None:
        self.problems = problems
        self.functions = _table(use, "functions")
        self.retries = _table(use, "retries")
        self.errors = _table(use, "errors")
        self.clusters: set[str] = set()
        self.hosts: set[str] = set()
        self.computed: list[str] = []
        self._tasks = 0

    def unused(self) -> None:
        """Check what nothing refers to as well."""
        for name, place in self.functions.items():
            self.function(place, name, f"/use/functions/{_escape(name)}", Within())
        for place in self.retries.values():
            self.retry(place, (*BASE, "$error"), loosely=True)
        for place in self.errors.values():
            compile_error(place, self, Within())

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
            task = self.task(name, item, f"{reference}/{index}/{_escape(name)}", inner)
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
        return KINDS[kinds[0]](place, self._common(name, place, reference, within), self, within)

    def function(self, place: Place, name: Json, reference: str, within: Within) -> Task | None:
        """The body of a function, compiled for one caller."""
        if not isinstance(name, str):
            place.text()
            return None
        found = self.functions.get(name)
        if found is None:
            if any(mark in name for mark in (":", "@", "/")):
                place.unsupported(f"functions of a catalog ({name})")
                return None
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
        if "timeout" in said:
            place.at("timeout").unsupported("timeouts")
        without_input = tuple(variable for variable in within.variables if variable != "$input")
        with_output = (*within.variables, "$output")
        return Common(
            name=name,
            reference=reference,
            document=said,
            condition=self.expression(place.at("if"), within.variables) if "if" in said else None,
            input_from=self.filter(place, "input", "from", without_input),
            output_as=self.filter(place, "output", "as", within.variables),
            export_as=self.filter(place, "export", "as", with_output),
            then=self.directive(place.at("then"), within) if "then" in said else "continue",
            compensation=self._compensation(place.at("metadata"), reference, within) if "metadata" in said else None,
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

    def template(self, place: Place, within: Within | Sequence[str], order: Sequence[str] | None = None) -> Template:
        """A value that may contain ``${ … }`` anywhere inside. ``order`` sorts the keys of an object."""
        variables = within.variables if isinstance(within, Within) else within
        value, template = self._part(place, variables, order)
        return template or constant(value)

    def filter(self, place: Place, section: str, key: str, variables: Sequence[str]) -> Template | None:
        """``input.from``, ``output.as`` or ``export.as``: an expression or an object."""
        if section not in place.value:
            return None
        inner = place.at(section)
        if not inner.mapping():
            return None
        inner.keys({key}, common=False, unsupported={"schema": "validation by a schema"})
        if key not in inner.value:
            return None
        found = inner.at(key)
        if isinstance(found.value, dict):
            return self.template(found, variables)
        return self.expression(found, variables)

    def duration(self, place: Place, variables: Sequence[str]) -> Duration:
        if place.is_expression():
            return self.expression(place, variables)
        try:
            return durations.seconds(place.value)
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

    def retry(self, place: Place, variables: Sequence[str], *, loosely: bool = False) -> Retry:
        """``loosely``: nothing refers to it, so its variables cannot be known."""
        found = self.referenced(place, self.retries, "retry policy", "use.retries")
        if found is None or not found.mapping():
            return Retry()
        found.keys({"when", "exceptWhen", "delay", "backoff", "limit", "jitter"}, common=False)
        said = found.value
        if loosely:
            said = {key: value for key, value in said.items() if key not in ("when", "exceptWhen")}
        count, total = self._limit(found.at("limit"), variables) if "limit" in said else (None, None)
        return Retry(
            delay=self.duration(found.at("delay"), variables) if "delay" in said else 0.0,
            backoff=self._backoff(found.at("backoff")) if "backoff" in said else "constant",
            count=count,
            total=total,
            jitter=self._jitter(found.at("jitter"), variables) if "jitter" in said else None,
            when=self.expression(found.at("when"), variables) if "when" in said else None,
            except_when=self.expression(found.at("exceptWhen"), variables) if "exceptWhen" in said else None,
        )

    def saga(self, document: Place) -> SagaPolicy:
        metadata = document.at("metadata")
        if metadata.value is None or not metadata.mapping():
            return SagaPolicy()
        _own_keys(metadata, {"stagedoor/saga"}, {})
        if "stagedoor/saga" not in metadata.value:
            return SagaPolicy()
        saga = metadata.at("stagedoor/saga")
        if not saga.mapping():
            return SagaPolicy()
        saga.keys({"scope", "order", "onCompensationFailure"}, common=False)
        if "scope" in saga.value and saga.value["scope"] != "workflow":
            saga.at("scope").unsupported(
                "a saga smaller than the workflow", "leave scope out, or write scope: workflow"
            )
        order = saga.at("order").choice(("reverse", "parallel"), "reverse")
        failure = saga.at("onCompensationFailure").choice(("suspend", "continue", "fault"), "suspend")
        return SagaPolicy(parallel=order == "parallel", on_failure=cast(OnFailure, failure))

    def _compensation(self, metadata: Place, reference: str, within: Within) -> Compensation | None:
        key = "stagedoor/compensate"
        if not metadata.mapping():
            return None
        _own_keys(metadata, {key}, {"stagedoor/pivot": "a pivot", "stagedoor/irreversible": "irreversible tasks"})
        if key not in metadata.value:
            return None
        place = metadata.at(key)
        if within.undo:
            place.problem("an undo cannot have an undo of its own")
            return None
        if not place.mapping(minimum=1):
            return None
        said = place.value
        undo = replace(within, variables=BASE, siblings=(), depth=within.depth + 1, functions=(), undo=True)
        reference = f"{reference}/metadata/{_escape(key)}"
        arguments: Template | None = None
        if "use" in said:
            place.keys({"use", "with", "register", "retry", "onFailure"}, common=False)
            call = str(said["use"])
            task = self.function(place.at("use"), said["use"], reference, undo)
            if "with" in said:
                arguments = self.template(place.at("with"), (*within.variables, "$output", "$outcome"))
        else:
            rest = {name: value for name, value in said.items() if name not in ("register", "retry", "onFailure")}
            call = next((name for name in rest if name in KINDS), "undo")
            task = self.task(call, Place(rest, place.path, self.problems), reference, undo)
        if task is None:
            return None
        failure = place.at("onFailure").choice(("suspend", "continue", "fault"), within.saga.on_failure)
        register = place.at("register").choice(("onStart", "onComplete"), "onComplete")
        retry = self.retry(place.at("retry"), (*BASE, "$error")) if "retry" in said else UNDO_RETRY
        return Compensation(
            task=task,
            call=call,
            arguments=arguments,
            on_start=register == "onStart",
            retry=retry,
            on_failure=cast(OnFailure, failure),
        )

    def _compile(self, place: Place, source: str, variables: Sequence[str]) -> Compiled:
        try:
            return Compiled(source, variables)
        except ExpressionError as error:
            hint = None
            if "${" in source:
                hint = 'a string holds one expression as a whole; join text inside it: ${ "a \\(.b)" }'
            elif "$secrets" in source:
                hint = "not supported yet: secrets"
            else:
                for name in unknown_names(source, variables):
                    near = suggestion(name, variables)
                    hint = f"did you mean {near}?" if near else f"known here: {', '.join(variables)}"
            place.problem(f"the expression does not compile: {error}", hint)
            return BROKEN

    def _part(
        self, place: Place, variables: Sequence[str], order: Sequence[str] | None = None
    ) -> tuple[Json, Template | None]:
        value = place.value
        if isinstance(value, str):
            source = wrapped(value)
            if source is not None:
                return None, self._compile(place, source, variables)
            if "${" in value:
                place.problem(
                    "'${' inside other text is taken literally", 'wrap the whole string: ${ "…\\(.name)" }', "warning"
                )
        elif isinstance(value, dict):
            keys = sorted(value, key=order.index) if order and set(value) <= set(order) else list(value)
            entries = [(key, *self._part(place.at(key), variables)) for key in keys]
            if order or any(template for _, _, template in entries):
                return None, mapping(entries)
        elif isinstance(value, list):
            items = [self._part(place.at(index), variables) for index in range(len(value))]
            if any(template for _, template in items):
                return None, sequence(items)
        return value, None

    def _backoff(self, place: Place) -> Literal["constant", "linear", "exponential"]:
        if not place.mapping(minimum=1):
            return "constant"
        kinds = ("constant", "linear", "exponential")
        place.keys(set(kinds), common=False)
        named = [key for key in kinds if key in place.value]
        if len(place.value) > 1:
            place.problem("a back-off is of one kind: constant, linear or exponential")
        for key in named:
            if place.value[key]:
                place.at(key).unsupported("parameters of a back-off", f"write {key}: {{}}")
        return cast(Literal["constant", "linear", "exponential"], named[0] if named else "constant")

    def _limit(self, place: Place, variables: Sequence[str]) -> tuple[int | None, Duration | None]:
        if not place.mapping():
            return None, None
        place.keys({"attempt", "duration"}, common=False)
        count = None
        attempt = place.at("attempt")
        if "attempt" in place.value and attempt.mapping():
            attempt.keys({"count"}, common=False, unsupported={"duration": "a limit on the duration of one attempt"})
            count = attempt.value.get("count")
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 1000):
                attempt.at("count").problem("count is a number from 0 to 1000")
                count = None
        return count, self.duration(place.at("duration"), variables) if "duration" in place.value else None

    def _jitter(self, place: Place, variables: Sequence[str]) -> tuple[Duration, Duration] | None:
        if not place.mapping(required=("from", "to")):
            return None
        place.keys({"from", "to"}, common=False)
        low, high = self.duration(place.at("from"), variables), self.duration(place.at("to"), variables)
        if isinstance(low, float) and isinstance(high, float) and low > high:
            place.problem("jitter's from is longer than its to")
        return low, high


def _own_keys(metadata: Place, known: set[str], unsupported: dict[str, str]) -> None:
    """Metadata belongs to the user, except for the keys that begin with ``stagedoor/``."""
    for key in metadata.value:
        if key in unsupported:
            metadata.at(key).unsupported(unsupported[key])
        elif isinstance(key, str) and key not in known:
            near = suggestion(key, known)
            if key.startswith("stagedoor/") or (near and key.endswith(near.partition("/")[2])):
                hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(sorted(known))}"
                metadata.at(key).problem(f"unknown metadata key {key!r}", hint)


def _table(use: Place | None, section: str) -> dict[str, Place]:
    if use is None or section not in use.value:
        return {}
    place = use.at(section)
    return {name: place.at(name) for name in place.value} if place.mapping() else {}


def _escape(name: str) -> str:
    """As a token of a JSON pointer, RFC 6901 §3."""
    return name.replace("~", "~0").replace("/", "~1")
