"""``listen``: wait for events, and do something with each of them. The output is the list of what was consumed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow import cloud_event, consumption
from stagedoor.workflow.cloud_event import Read
from stagedoor.workflow.commands import Command, Subscribe, Unsubscribe
from stagedoor.workflow.consumption import Consumption, Strategy
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.events import EventReceived
from stagedoor.workflow.expression import Compiled, Template, truthy
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.schema import Schema
from stagedoor.workflow.tasks.do import Block, block
from stagedoor.workflow.tasks.for_ import variable
from stagedoor.workflow.waiting import ForEvent, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

MAX_CONSUMED = 10_000
"""Events that one listener consumes."""


class ListenFrame(Frame):
    __slots__ = ("child", "consumed", "consumption", "index", "listener", "outputs", "own", "queue", "since")
    task: Listen

    def begin(self) -> None:
        self.consumption = Consumption(self.task.strategy, self, self.input)
        self.consumed: list[Json] = []
        self.outputs: list[Json] = []
        self.queue: deque[Json] = deque()
        self.child: Frame | None = None
        self.index = -1
        self.own: set[tuple[str, str]] = set()
        self.since = self.machine.taken.count
        """Events that the execution took before this one are not for it."""
        self.listener: str | None = None
        if self.consumption.done:
            self.complete([])
            return
        strategy = self.task.strategy
        self.listener = self.machine.number(f"{self.identity}!listen", self)
        self.machine.ask(Subscribe(self.listener, self.reference, strategy.types, strategy.correlated), self)
        self.machine.correlating("started", self, {})

    def wants(self, event: Json) -> bool:
        key = cloud_event.key(event)
        earlier = self.machine.taken.get(key)
        fresh = earlier is None or (earlier >= self.since and key not in self.own)
        return fresh and self.consumption.wants(event)

    def received(self, event: EventReceived) -> None:
        if not self.wants(event.event):
            return
        key = cloud_event.key(event.event)
        self.own.add(key)
        self.machine.taken.add(key)
        try:
            if self.consumption.take(event.event):
                self.consume(event.event)
        except Failure as failure:
            self.silence()
            if self.child is not None:
                self.child.cancel(drain=True)
            self.fail(failure)
            return
        if self.consumption.done:
            self.silence()
            self.machine.correlating("completed", self, self.consumption.keys)
        self.iterate()

    def consume(self, event: Json) -> None:
        if len(self.consumed) >= MAX_CONSUMED:
            detail = f"more than {MAX_CONSUMED} events were consumed"
            raise Failure(standard("runtime", 500, "Too many events", self.reference, detail))
        value = cloud_event.read(event, self.task.read)
        self.consumed.append(value)
        self.queue.append(value)
        until = self.task.strategy.until
        if isinstance(until, Compiled) and truthy(until(self, list(self.consumed))):
            self.consumption.done = True

    def iterate(self) -> None:
        """The next event that waits, or the end."""
        if self.child is not None:
            return
        task = self.task
        if task.body is None:
            self.outputs += self.queue
            self.queue.clear()
        elif self.queue:
            self.index += 1
            self.machine.identifiers.trim()
            item = self.queue.popleft()
            variables = {**self.locals, task.item: item, task.at: self.index}
            path = f"{self.path}[{self.index}]"
            self.child = task.body.frame(self.machine, task.body, self, path, self.strand, variables)
            self.machine.schedule(self.child, item)
            return
        if self.consumption.done:
            self.complete(self.outputs)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        self.child = None
        self.outputs.append(output)
        self.iterate()

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.silence()
        self.fail(failure)

    def silence(self) -> None:
        """Listen no longer."""
        if self.listener is not None:
            self.machine.withdraw(Unsubscribe(self.listener))
            self.listener = None

    def stop(self, *, drain: bool) -> None:
        self.silence()
        if self.child is not None:
            self.child.cancel(drain=drain)

    def waits_for(self, command: Command, since: float) -> Reason:
        strategy = self.task.strategy
        return ForEvent(
            task=self.reference,
            since=since,
            types=strategy.types,
            mode=strategy.mode,
            filters=self.consumption.awaited(),
            consumed=len(self.consumed),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen(Task):
    kind: ClassVar[str] = "listen"
    frame: ClassVar[type[Frame]] = ListenFrame
    strategy: Strategy
    read: Read
    item: str
    at: str
    body: Block | None
    """What is done for each event; its output and export are those of ``foreach``."""


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"listen", "foreach"})
    config = place.at("listen")
    if not config.mapping(required=("to",)):
        return None
    config.keys({"to", "read"}, common=False)
    strategy = consumption.compile(config.at("to"), compiler, within.variables)
    read: Read = config.at("read").choice(("data", "envelope", "raw"), "data")  # type: ignore[assignment]
    item, at, body = "$item", "$index", None
    if "foreach" in place.value:
        found = place.at("foreach")
        if not found.mapping():
            return None
        found.keys({"item", "at", "do", "output", "export"}, common=False)
        item, at = variable(found, "item", "item"), variable(found, "at", "index")
        if item == at:
            found.problem(f"item and at are both named {item[1:]!r}")
        body = _body(found, common, compiler, within.having(item, at))
    compiler.listens = True
    if strategy is None:
        return None
    return Listen(**common, strategy=strategy, read=read, item=item, at=at, body=body)


def _body(found: Place, common: Common, compiler: Compiler, within: Within) -> Block:
    reference = f"{common['reference']}/foreach"
    tasks = compiler.tasks(found.at("do"), f"{reference}/do", within) if "do" in found.value else ()
    output: Template | None = compiler.filter(found, "output", "as", within.variables)
    export: Template | None = compiler.filter(found, "export", "as", (*within.variables, "$output"))
    schemas: list[Schema | None] = [compiler.schema(found, section) for section in ("output", "export")]
    return block(
        tasks,
        common["name"],
        reference,
        output_as=output,
        export_as=export,
        output_schema=schemas[0],
        export_schema=schemas[1],
    )
