"""What all calls have in common: one request to a service, and what its answer means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import quote

from stagedoor.workflow import check
from stagedoor.workflow.check import Verdict
from stagedoor.workflow.commands import Call, CancelCall, CancelTimer, Command, StartTimer
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, answered, standard
from stagedoor.workflow.events import CallCompleted, CallFailed, CallUnknown, TimerFired
from stagedoor.workflow.frame import Frame, Strand
from stagedoor.workflow.identifiers import Sendings
from stagedoor.workflow.manner import SCHEMES, Manner
from stagedoor.workflow.secret import HIDDEN, shown
from stagedoor.workflow.waiting import ForCall, ForTimer, Reason

Json = Any
Output = Literal["content", "response", "raw"]

MAX_KEY = 160
"""Longest reference, in characters, that an idempotency key spells out."""
REPEATS = (0.2, 1.0)
"""Seconds before a call whose outcome is unknown is sent again, with the same key."""
UNSETTLED = frozenset({408, 409, 425, 429})
"""Answers that say nothing about an earlier sending of the same request; so do those from 500 on."""


class Prepared(NamedTuple):
    """What a kind of call makes of its input, as the fields of ``Call``."""

    method: str
    endpoint: str
    headers: dict[str, Any]
    query: dict[str, Any]
    body: Json
    manner: Manner | None


class CallFrame(Frame):
    __slots__ = (
        "checking",
        "command",
        "doubted",
        "prefix",
        "repeats",
        "sendings",
        "timer",
        "unknown",
        "verdict",
    )
    task: CallTask

    def begin(self) -> None:
        task = self.task
        try:
            method, uri, headers, query, body, manner = task.prepare(self)
        except ValueError as error:
            raise Failure(standard("expression", 400, "Request not valid", self.reference, str(error))) from error
        machine = self.machine
        undoes = self.strand.undoes
        self.prefix = self.identity
        self.sendings: Sendings
        self.sendings, again = machine.identifiers.sending(self.prefix, self, undoes=undoes is not None)
        if again and (task.safe or (self.sendings.failed and undoes is None)):
            self.sendings.group += 1
        self.sendings.failed = False
        self.unknown = False
        self.checking: Frame | None = None
        self.verdict: Verdict = "unknown"
        self.repeats = 0
        self.timer: str | None = None
        key = f"{machine.execution}{task.key}{self.path}"
        if self.sendings.group:
            key = f"{key}:{self.sendings.group}"
        if self.entry is not None:
            self.entry.call = f"{method} {uri}"
        self.ask(
            Call(
                self.sending(),
                task.reference,
                key,
                method,
                uri,
                headers,
                query,
                body,
                task.output,
                undoes,
                manner,
            )
        )

    def sending(self) -> str:
        """The id of one more."""
        sendings = self.sendings
        sendings.count += 1
        if self.entry is not None:
            self.entry.attempt = sendings.count
        return f"{self.prefix}#{sendings.count}"

    def ask(self, call: Call) -> None:
        self.command = call
        self.machine.ask(call, self)

    def answered(self, event: CallCompleted) -> None:
        status = event.status
        task = self.task
        if 200 <= status < (400 if task.redirect else 300):
            self.complete(self.response(event) if task.output == "response" else event.content)
            return
        # After an unknown outcome only an answer to this very request settles what became of the first sending.
        unknown = self.unknown and (status >= 500 or status in UNSETTLED)
        self.sendings.failed = not unknown
        self.fail(Failure(answered(status, event.content, self.reference), unknown=unknown))

    def response(self, event: CallCompleted) -> Json:
        call = self.command
        request = {"method": call.method.lower(), "uri": call.endpoint, "headers": shown(call.headers)}
        return {"request": request, "statusCode": event.status, "headers": event.headers, "content": event.content}

    def authorization(self) -> Json:
        manner = self.command.manner
        if manner is None or manner.authentication is None:
            return None
        return {"scheme": SCHEMES[manner.authentication.scheme], "parameter": HIDDEN}

    def not_sent(self, event: CallFailed) -> None:
        if self.unknown:
            self.repeat(event)
            return
        self.sendings.failed = True
        self.fail(Failure(self.error(event)))

    def repeat(self, event: CallUnknown | CallFailed) -> None:
        """The request may have been carried out: ask again with the same key, a few times."""
        self.unknown = True
        self.verdict = "unknown"
        asked = self.task.check
        if asked is None or self.cancelled:
            self.doubt(self.error(event))
            return
        self.doubted = self.error(event)
        try:
            arguments = asked.arguments(self, self.input) if asked.arguments is not None else self.input
        except Failure:
            self.doubt(self.doubted)
            return
        strand = Strand({}, undoes=self.strand.undoes)
        path = f"{self.path}!{self.sendings.count}"
        self.checking = asked.task.frame(self.machine, asked.task, self, path, strand, {})
        self.machine.schedule(self.checking, arguments)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        self.checked(*check.completed(output))

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.checked(check.failed(failure), None)

    def checked(self, verdict: Verdict, output: Json) -> None:
        """What came of the call, as the check found out."""
        self.checking = None
        self.verdict = verdict
        if verdict == "completed":
            self.complete(output)
        else:
            self.doubt(self.doubted)

    def doubt(self, error: dict[str, Json]) -> None:
        """Ask again with the same key, a few times; then it has failed, certainly only if a check says so."""
        unknown = self.verdict == "unknown"
        if self.cancelled or self.repeats >= len(REPEATS):
            self.sendings.failed = not unknown
            self.fail(Failure(error, unknown=unknown))
            return
        wait = REPEATS[self.repeats]
        self.repeats += 1
        self.timer = self.machine.start_timer(self.identity, wait, self, self.repeats)

    def error(self, event: CallUnknown | CallFailed) -> dict[str, Json]:
        # Only for want of a token or a secret is a call refused with 401 before it is sent.
        kind = "authentication" if event.status == 401 else "communication"
        return standard(kind, event.status, event.title, self.reference, event.detail)

    def fired(self, event: TimerFired) -> None:
        self.timer = None
        self.machine.moved("retried", self)
        self.ask(replace(self.command, id=self.sending()))

    def stop(self, *, drain: bool) -> None:
        if self.checking is not None:
            self.checking.cancel(drain=False)
            self.fail(Failure(self.doubted, unknown=True))
        elif self.timer is not None:
            self.machine.withdraw(CancelTimer(self.timer))
            self.fail(Failure(standard("runtime", 500, "Cancelled", self.reference), unknown=True))
        elif not self.task.safe and (drain or self.undoable()):
            self.machine.drain(self.command.id)
        else:
            self.machine.withdraw(CancelCall(self.command.id))

    def undoable(self) -> bool:
        """Whether the completion of this call would register an undo, its own or that of a task which calls it."""
        frame: Frame = self
        while frame.task.compensation is None:
            if not (isinstance(frame.parent, Frame) and frame.parent.transparent):
                return False
            frame = frame.parent
        return True

    def waits_for(self, command: Command, since: float) -> Reason:
        if isinstance(command, StartTimer):
            return ForTimer(task=self.reference, since=since, until=command.at, purpose="repetition", call=self.what())
        return ForCall(
            task=self.reference,
            since=since,
            id=command.id if isinstance(command, Call) else "",
            call=self.what(),
            attempt=self.sendings.count,
            undoes=self.strand.undoes,
        )

    def what(self) -> str:
        return f"{self.command.method} {self.command.endpoint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTask(Task):
    kind: ClassVar[str] = "call"
    frame: ClassVar[type[Frame]] = CallFrame
    key: str
    """The reference as it appears in idempotency keys: visible ASCII."""
    safe: bool = False
    """It changes nothing: asked again, it is asked anew."""
    output: Output = "content"
    redirect: bool = False
    """A redirection is an answer and no error."""

    def prepare(self, frame: Frame) -> Prepared:
        """Raises ``ValueError`` with a sentence, or ``Failure`` from an expression."""
        raise NotImplementedError


def key(reference: str) -> str:
    """The reference as part of an idempotency key: visible ASCII, and short."""
    text = quote(reference, safe="/~")
    return text if len(text) <= MAX_KEY else f"/{sha256(text.encode()).hexdigest()}"
