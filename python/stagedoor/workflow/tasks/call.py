"""``call: http``: one request to a service, and what its answer means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

from stagedoor.workflow import endpoint as endpoints
from stagedoor.workflow.commands import Call, CancelCall, CancelTimer, Command, StartTimer
from stagedoor.workflow.definition import Task
from stagedoor.workflow.duration import moment
from stagedoor.workflow.endpoint import Endpoint, scalar
from stagedoor.workflow.error import Failure, answered, standard
from stagedoor.workflow.events import CallCompleted, CallFailed, CallUnknown, TimerFired
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.place import kind, suggestion
from stagedoor.workflow.tasks import function

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

MAX_KEY = 160
"""Longest reference, in characters, that an idempotency key spells out."""
REPEATS = (0.2, 1.0)
"""Seconds before a call whose outcome is unknown is sent again, with the same key."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}
UNSETTLED = frozenset({408, 409, 425, 429})
"""Answers that say nothing about an earlier sending of the same request; so do those from 500 on."""
OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "idempotency-key",
        "te",
        "traceparent",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Set by the engine or by the protocol, never by a document."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*\Z")


class Sendings:
    """What the machine remembers of a call over all its runs, so that ids are fresh and keys stable."""

    __slots__ = ("count", "failed", "group")

    def __init__(self) -> None:
        self.count = 0
        self.group = 0
        self.failed = False
        """The last run ended with a definite failure: the next one is a new attempt, not a repetition."""


class CallFrame(Frame):
    __slots__ = ("command", "prefix", "repeats", "request", "sendings", "timer", "unknown")
    task: HttpCall

    def begin(self) -> None:
        task = self.task
        data = self.input
        try:
            if task.endpoint is not None:
                uri = task.endpoint.expand(data)
            else:
                assert task.computed is not None
                uri = endpoints.check(task.computed(self, data))
            headers = strings(task.headers(self, data), "header") if task.headers is not None else {}
            query = strings(task.query(self, data), "query parameter") if task.query is not None else {}
        except ValueError as error:
            raise Failure(standard("expression", 400, "Request not valid", self.reference, str(error))) from error
        body = task.body(self, data) if task.body is not None else None
        machine = self.machine
        identity = f"{task.reference}{self.path}"
        sendings = machine.sendings.get(identity)
        if sendings is None:
            sendings = machine.sendings[identity] = Sendings()
        elif task.method in SAFE or (sendings.failed and self.strand.undoes is None):
            sendings.group += 1
        sendings.failed = False
        self.sendings = sendings
        self.prefix = identity
        self.unknown = False
        self.repeats = 0
        self.timer: str | None = None
        key = f"{machine.execution}{task.key}{self.path}"
        if sendings.group:
            key = f"{key}:{sendings.group}"
        self.request = (
            task.reference,
            key,
            task.method,
            uri,
            headers,
            query,
            body,
            task.output,
            self.strand.undoes,
        )
        if self.entry is not None:
            self.entry.call = f"{task.method} {uri}"
        self.send()

    def send(self) -> None:
        sendings = self.sendings
        sendings.count += 1
        entry = self.entry
        if entry is not None:
            entry.attempt = sendings.count
        self.command = Call(f"{self.prefix}#{sendings.count}", *self.request)
        self.machine.ask(self.command, self)

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
        request = {"method": call.method.lower(), "uri": call.endpoint, "headers": call.headers}
        return {"request": request, "statusCode": event.status, "headers": event.headers, "content": event.content}

    def not_sent(self, event: CallFailed) -> None:
        if self.unknown:
            self.repeat(event)
            return
        self.sendings.failed = True
        self.fail(Failure(self.error(event)))

    def repeat(self, event: CallUnknown | CallFailed) -> None:
        """The request may have been carried out: ask again with the same key, a few times."""
        self.unknown = True
        if self.cancelled or self.repeats >= len(REPEATS):
            self.fail(Failure(self.error(event), unknown=True))
            return
        wait = REPEATS[self.repeats]
        self.repeats += 1
        self.timer = self.machine.start_timer(self.identity, wait, self)

    def error(self, event: CallUnknown | CallFailed) -> dict[str, Json]:
        return standard("communication", event.status, event.title, self.reference, event.detail)

    def fired(self, event: TimerFired) -> None:
        self.timer = None
        self.send()

    def stop(self, *, drain: bool) -> None:
        if self.timer is not None:
            self.machine.withdraw(CancelTimer(self.timer))
            self.fail(Failure(standard("runtime", 500, "Cancelled", self.reference), unknown=True))
        elif self.task.method not in SAFE and (drain or self.undoable()):
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

    def waits_for(self, command: Command) -> str:
        if isinstance(command, StartTimer):
            return f"{self.reference}: the outcome of {self.what()} is unknown; it is repeated at {moment(command.at)}"
        return f"{self.reference} waits for the answer to {self.what()}"

    def what(self) -> str:
        return f"{self.command.method} {self.command.endpoint}"


def strings(value: Json, what: str) -> dict[str, str]:
    """Header fields or query parameters; null leaves one out. Raises ``ValueError`` with a sentence."""
    if not isinstance(value, dict):
        raise ValueError(f"the {what}s are not an object")
    texts: dict[str, str] = {}
    for name, item in value.items():
        if item is None:
            continue
        text = scalar(item)
        if text is None:
            raise ValueError(f"{what} {name!r} is neither text nor a number")
        if what == "header":
            check_header(name, text)
        texts[name] = text
    return texts


def check_header(name: str, value: str | None = None) -> None:
    """Raises ``ValueError`` with a sentence."""
    if not _TOKEN.match(name):
        raise ValueError(f"{name!r} is not a header's name")
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"header {name!r} is set by the engine")
    if value is not None and not _VALUE.match(value):
        raise ValueError(f"the value of header {name!r} contains a control character")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall(Task):
    kind: ClassVar[str] = "call"
    frame: ClassVar[type[Frame]] = CallFrame
    key: str
    """The reference as it appears in idempotency keys: visible ASCII."""
    method: str
    endpoint: Endpoint | None
    computed: Template | None
    headers: Template | None
    query: Template | None
    body: Template | None
    output: Literal["content", "response", "raw"]
    redirect: bool


FIELDS = {"method", "endpoint", "headers", "query", "body", "output", "redirect"}
PROTOCOLS = ("asyncapi", "grpc", "openapi", "a2a", "mcp")


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    """``call: http``, or what another word after ``call`` means."""
    called = place.value["call"]
    if called in PROTOCOLS:
        place.at("call").unsupported(f"{called} calls")
        return None
    if called != "http":
        return function.compile(place, common, compiler, within)
    place.keys({"call", "with"})
    if not place.mapping(required=("with",)):
        return None
    request = place.at("with")
    if not request.mapping(required=("method", "endpoint")):
        return None
    request.keys(FIELDS, common=False)
    said = request.value
    redirect = said.get("redirect", False)
    if not isinstance(redirect, bool):
        request.at("redirect").problem("redirect is true or false")
    literal, computed = _endpoint(request.at("endpoint"), common["reference"], compiler, within)
    return HttpCall(
        **common,
        key=_key(common["reference"]),
        method=_method(request.at("method")),
        endpoint=literal,
        computed=computed,
        headers=_fields(request.at("headers"), compiler, within, "header") if "headers" in said else None,
        query=_fields(request.at("query"), compiler, within, "query") if "query" in said else None,
        body=compiler.template(request.at("body"), within) if said.get("body") is not None else None,
        output=request.at("output").choice(("content", "response", "raw"), "content"),  # type: ignore[arg-type]
        redirect=bool(redirect),
    )


def _method(place: Place) -> str:
    text = place.text()
    if text is None:
        return "GET"
    method = text.upper()
    if method not in METHODS:
        near = suggestion(method, METHODS)
        place.problem(f"{text!r} is not an HTTP method", f"did you mean {near!r}?" if near else None)
    return method


def _endpoint(
    place: Place, reference: str, compiler: Compiler, within: Within
) -> tuple[Endpoint | None, Template | None]:
    if isinstance(place.value, dict):
        place.keys({"uri"}, common=False, unsupported={"authentication": "authentication of calls"})
        if not place.mapping(required=("uri",)):
            return None, None
        place = place.at("uri")
    text = place.text()
    if text is None:
        return None, None
    if place.is_expression():
        compiler.computed.append(reference)
        return None, compiler.template(place, within)
    try:
        endpoint = endpoints.parse(text)
    except ValueError as error:
        place.problem(str(error))
        return None, None
    if endpoint.cluster is not None:
        compiler.clusters.add(endpoint.cluster)
    else:
        compiler.hosts.add(endpoint.origin)
    return endpoint, None


def _fields(place: Place, compiler: Compiler, within: Within, what: str) -> Template:
    if isinstance(place.value, dict):
        for name, value in place.value.items():
            item = place.at(name)
            if scalar(value) is None:
                item.problem(f"expected text, found {kind(value)}")
            elif what == "header":
                try:
                    check_header(name, None if item.is_expression() else scalar(value))
                except ValueError as error:
                    item.problem(str(error))
    elif not place.is_expression():
        place.problem(f"expected an object or an expression, found {kind(place.value)}")
    return compiler.template(place, within)


def _key(reference: str) -> str:
    """The reference as part of an idempotency key: visible ASCII, and short."""
    text = quote(reference, safe="/~")
    return text if len(text) <= MAX_KEY else f"/{sha256(text.encode()).hexdigest()}"
