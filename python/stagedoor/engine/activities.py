"""Commands to call → requests through the data plane's clusters; their answers → events.

An activity is done at least once: after a crash it is repeated with the same ``Idempotency-Key``.
"""

from __future__ import annotations

import base64
import random
import re
from codecs import BOM_UTF8
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from stagedoor import _core
from stagedoor.engine.reach import Reach
from stagedoor.engine.record import decode_json, encode, encode_completed, encode_json, encode_text
from stagedoor.workflow.commands import Call
from stagedoor.workflow.endpoint import scalar
from stagedoor.workflow.events import CallCompleted, CallFailed, CallUnknown
from stagedoor.workflow.server import origin

TIMEOUT_S = 30.0
"""A call, every retry of the cluster included."""

PLACES = 1024
"""Endpoints of which it is remembered where they are."""
PLACE_CHARS = 512
"""Of an endpoint; longer ones are not remembered."""
FORM = "application/x-www-form-urlencoded"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_NAME = re.compile(r"[!-~]+")
_TARGET = re.compile(r"[!$&'()*+,;=:@/?%A-Za-z0-9._~-]*")
_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "idempotency-key", "traceparent"})
"""Set by the data plane or by the engine, whatever a document says."""

_chance = random.Random()
"""For span ids, which need to differ and not to be secret."""

Json = Any
CallerToken = _core.CallerToken | Literal[False] | None
Request = tuple[int, str, str, str, list[tuple[str, str]], bytes | None, int, CallerToken]


class Refused(NamedTuple):
    """A call that cannot be sent, and why."""

    title: str
    detail: str


def request(
    call: Call, number: int, trace: str | None, reach: Reach, caller_token: CallerToken = None
) -> Request | Refused:
    try:
        where = place(call.endpoint, reach)
        if isinstance(where, Refused):
            return where
        cluster, target = where
        if call.query:
            target += ("&" if "?" in target else "?") + urlencode(call.query)
    except UnicodeEncodeError:
        return Refused("The call is not valid", "its endpoint or query is not Unicode text")
    method = call.method.upper()
    if not _TOKEN.fullmatch(method) or not _VALUE.fullmatch(call.idempotency_key):
        return Refused("The call is not valid", "its method or its key has characters that HTTP forbids")
    headers = [("accept", "application/json"), ("idempotency-key", call.idempotency_key)]
    body: bytes | None = None
    if call.body is not None:
        try:
            body = _body(call, headers)
        except ValueError as error:
            return Refused("The call is not valid", f"its body cannot be sent: {error}")
    if trace is not None:
        # The execution's trace, with a span of its own for each call (W3C Trace Context, 3.2.2).
        headers.append(("traceparent", f"{trace[:36]}{_chance.getrandbits(64):016x}{trace[52:55]}"))
    for name, value in call.headers.items():
        lower, text = name.lower(), value if isinstance(value, str) else str(value)
        if not _TOKEN.fullmatch(lower) or not _VALUE.fullmatch(text):
            return Refused("The call is not valid", f"its header '{name[:64]}' has characters that HTTP forbids")
        if lower == "accept":
            headers[0] = (lower, text)
        elif lower != "content-type" and lower not in _OWN:
            headers.append((lower, text))
    return number, cluster, method, target, headers, body, int(TIMEOUT_S * 1000), caller_token


def place(endpoint: str, reach: Reach) -> tuple[str, str] | Refused:
    """The cluster, and the path with its query."""
    known = reach.places.get(endpoint)
    if known is not None:
        return known
    found = _place(endpoint, reach)
    if not isinstance(found, Refused) and len(endpoint) <= PLACE_CHARS:
        if len(reach.places) >= PLACES:
            reach.places.clear()
        reach.places[endpoint] = found
    return found


def _place(endpoint: str, reach: Reach) -> tuple[str, str] | Refused:
    try:
        endpoint = reach.servers.lead(endpoint) or endpoint
        if not endpoint.startswith("cluster://"):
            return _host(urlsplit(endpoint), reach)
    except ValueError:
        return Refused("The call is not valid", "its endpoint is not a URI")
    cluster, _, path = endpoint[10:].partition("/")
    if not _NAME.fullmatch(cluster):
        return Refused("The call is not valid", "its endpoint names no cluster")
    return cluster, _quoted("/" + path.partition("#")[0])


def _host(parts: SplitResult, reach: Reach) -> tuple[str, str] | Refused:
    called = origin(parts)
    if called is None:
        return Refused("The call is not valid", "its endpoint is neither cluster://NAME/path nor an http(s) URI")
    if called not in reach.hosts:
        return Refused("The host may not be called", f"{called} is not in engine.allow_hosts")
    return called, target_of(parts)


def target_of(parts: SplitResult) -> str:
    """The path with its query, as a request has it."""
    return _quoted((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def _quoted(target: str) -> str:
    return target if _TARGET.fullmatch(target) else quote(target, safe="!$&'()*+,;=:@/?%-._~")


def _body(call: Call, headers: list[tuple[str, str]]) -> bytes:
    kind: str | None = None
    for name, value in call.headers.items():
        if name.lower() == "content-type":
            kind = value
    if kind is None or _is_json(kind):
        headers.append(("content-type", "application/json" if kind is None else kind))
        return encode_json(call.body).encode()
    if not _VALUE.fullmatch(kind):
        raise ValueError("its content type has characters that HTTP forbids")
    headers.append(("content-type", kind))
    if isinstance(call.body, dict) and kind.partition(";")[0].strip().lower() == FORM:
        return _form(call.body)
    if not isinstance(call.body, str):
        raise ValueError(f"a body of type {kind[:64]} must be a string")
    return call.body.encode()


def _form(fields: dict[str, Json]) -> bytes:
    """A list gives a field several times, null leaves it out. Raises ``ValueError``."""
    pairs = []
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            text = "" if item is None else scalar(item)
            if text is None:
                raise ValueError(f"the field {name[:64]!r} of its form is neither text nor a number")
            if item is not None:
                pairs.append((name, text))
    return urlencode(pairs).encode()


def outcome(call: Call, answer: _core.Answered, at: float) -> tuple[CallCompleted | CallUnknown, str]:
    """What an answer says, also as the log's ``data``. One that cannot be understood leaves open whether the call was
    carried out."""
    status, fields = answer.status, answer.headers
    content, text = None, "null"
    try:
        content, text = _content(call, fields, answer.body)
    except ValueError as error:
        if status < 400:
            unknown = CallUnknown(at, call.id, 502, "The service answered with an invalid response", str(error))
            return unknown, encode(unknown)
    if call.output != "response":
        return CallCompleted(at, call.id, status, content), encode_completed(call.id, status, text)
    headers: dict[str, str] = {}
    for name, value in fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    completed = CallCompleted(at, call.id, status, content, headers)
    return completed, encode(completed)


def _content(call: Call, fields: list[tuple[str, str]], body: bytes) -> tuple[Json, str]:
    """The content, and the same as JSON text: a JSON answer goes into the log as it came."""
    kind = "application/json"
    for name, value in fields:
        if name == "content-type":
            kind = value
    if not body and call.output != "raw":
        return None, "null"
    if call.output == "raw" or not (_is_json(kind) or kind.lower().startswith("text/")):
        content = base64.b64encode(body).decode("ascii")
    elif _is_json(kind):
        try:
            text = body.removeprefix(BOM_UTF8).decode()
            return decode_json(text), text
        except (ValueError, RecursionError):
            raise ValueError("the answer is not the JSON that its content type promises") from None
    else:
        content = body.decode("utf-8", "replace")
    return content, encode_text(content)


def _is_json(kind: str) -> bool:
    if kind == "application/json":
        return True
    kind = kind.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def unanswered(call: Call, notice: _core.Unanswered, at: float) -> CallFailed | CallUnknown:
    """Nothing was sent: failed. Something was: unknown."""
    event = CallUnknown if notice.sent else CallFailed
    return event(at, call.id, notice.status, notice.code, notice.detail)
