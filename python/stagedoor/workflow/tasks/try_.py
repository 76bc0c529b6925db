"""``try``: catch an error, try the tasks again, and only when that is over run the tasks of ``catch``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow import compensation
from stagedoor.workflow import retry as retries
from stagedoor.workflow.commands import CancelTimer, Command, StartTimer
from stagedoor.workflow.deadline import Deadline
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, same_type
from stagedoor.workflow.events import TimerFired
from stagedoor.workflow.expression import Compiled, truthy
from stagedoor.workflow.frame import Frame, Scope
from stagedoor.workflow.retry import Retry, evaluate
from stagedoor.workflow.tasks.do import Block, block
from stagedoor.workflow.tasks.for_ import variable
from stagedoor.workflow.waiting import ForTimer, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

FILTERS = ("type", "status", "instance", "title", "detail")


class TryFrame(Frame):
    __slots__ = ("catching", "child", "retries", "since", "timer")
    task: Try

    def begin(self) -> None:
        self.catching = False
        self.retries = 0
        self.since = 0.0
        self.timer: str | None = None
        self.attempt()

    def attempt(self) -> None:
        """May raise ``Failure`` from the limit of an attempt."""
        body = self.task.body
        self.child = body.frame(self.machine, body, self, self.path, self.strand, self.locals)
        retry = self.task.retry
        if retry is not None and retry.attempt is not None:
            self.child.deadline = Deadline(self.child, evaluate(retry.attempt, self, self.input))
        self.machine.schedule(self.child, self.input)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        self.complete(output, self.task.catch_then if self.catching else None)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        if self.catching or failure.fatal:
            self.fail(failure)
            return
        task = self.task
        scope = Scope(self, {task.variable: failure.error})
        try:
            if not self.catches(failure.error, scope):
                self.fail(failure)
                return
            if self.retries == 0:
                self.since = self.machine.now
            wait = None
            if task.retry is not None:
                seed = f"{self.machine.execution}{self.identity}"
                wait = task.retry.wait(scope, self.input, self.retries, self.since, seed)
        except Failure as broken:
            self.fail(broken)
            return
        if wait is not None:
            self.retries += 1
            self.timer = self.machine.start_timer(f"{self.identity}!retry", wait, self, self.retries)
            return
        self.catching = True
        handler = task.handler
        if handler is None and task.retry is not None and self.machine.rules > 1:
            self.fail(failure)
            return
        if handler is None:
            self.complete(self.input, task.catch_then)
            return
        variables = {**self.locals, task.variable: failure.error}
        self.child = handler.frame(self.machine, handler, self, self.path, self.strand, variables)
        self.machine.schedule(self.child, self.input)

    def catches(self, error: dict[str, Json], scope: Scope) -> bool:
        task = self.task
        for field, wanted in task.filters:
            found = error.get(field)
            if isinstance(wanted, Compiled):
                wanted = wanted(scope, self.input)
            if field == "type" and isinstance(found, str) and isinstance(wanted, str):
                if not same_type(wanted, found):
                    return False
            elif found != wanted:
                return False
        if task.when is not None and not truthy(task.when(scope, self.input)):
            return False
        return task.except_when is None or not truthy(task.except_when(scope, self.input))

    @property
    def retrying(self) -> bool:
        return self.task.retry is not None and not self.catching

    def fired(self, event: TimerFired) -> None:
        self.timer = None
        self.machine.moved("retried", self)
        try:
            self.attempt()
        except Failure as failure:
            self.fail(failure)

    def stop(self, *, drain: bool) -> None:
        if self.timer is not None:
            self.machine.withdraw(CancelTimer(self.timer))
        else:
            self.child.cancel(drain=drain)

    def waits_for(self, command: Command, since: float) -> Reason:
        at = command.at if isinstance(command, StartTimer) else self.now
        return ForTimer(task=self.reference, since=since, until=at, purpose="retry", number=self.retries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try(Task):
    kind: ClassVar[str] = "try"
    frame: ClassVar[type[Frame]] = TryFrame
    body: Block
    filters: tuple[tuple[str, Json | Compiled], ...]
    """What the error's fields must be."""
    variable: str
    """What the error is called in ``when``, ``exceptWhen``, ``retry`` and the tasks of ``catch``, with its ``$``."""
    when: Compiled | None
    except_when: Compiled | None
    retry: Retry | None
    handler: Block | None
    catch_then: str | None


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"try", "catch"})
    reference = common["reference"]
    if not place.mapping(required=("catch",)):
        return None
    body = block(
        compiler.tasks(place.at("try"), f"{reference}/try", within),
        common["name"],
        f"{reference}/try",
        saga=compensation.scope(place),
    )
    catch = place.at("catch")
    if not catch.mapping():
        return None
    catch.keys({"errors", "as", "when", "exceptWhen", "retry", "do", "then"}, common=False)
    name = variable(catch, "as", "error")
    inner = within.having(name)
    said = catch.value
    when = compiler.expression(catch.at("when"), inner.variables) if "when" in said else None
    except_when = compiler.expression(catch.at("exceptWhen"), inner.variables) if "exceptWhen" in said else None
    retry = retries.compile(catch.at("retry"), inner.variables, compiler, name) if "retry" in said else None
    handler = None
    if "do" in said:
        below = f"{reference}/catch/do"
        handler = block(compiler.tasks(catch.at("do"), below, inner), common["name"], below)
    then = compiler.directive(catch.at("then"), within) if "then" in said else None
    return Try(
        **common,
        body=body,
        filters=_filters(catch, compiler, inner.variables),
        variable=name,
        when=when,
        except_when=except_when,
        retry=retry,
        handler=handler,
        catch_then=then,
    )


def _filters(catch: Place, compiler: Compiler, variables: Sequence[str]) -> tuple[tuple[str, Json | Compiled], ...]:
    if "errors" not in catch.value:
        return ()
    errors = catch.at("errors")
    if not errors.mapping(required=("with",)):
        return ()
    errors.keys({"with"}, common=False)
    wanted = errors.at("with")
    if not wanted.mapping(minimum=1):
        return ()
    wanted.keys(set(FILTERS), common=False)
    filters: list[tuple[str, Json | Compiled]] = []
    for field in FILTERS:
        if field not in wanted.value:
            continue
        value = wanted.at(field)
        if field == "status":
            if isinstance(value.value, bool) or not isinstance(value.value, int):
                value.problem("status is a number")
        elif value.text() is not None and value.is_expression():
            filters.append((field, compiler.expression(value, variables)))
            continue
        filters.append((field, value.value))
    return tuple(filters)
