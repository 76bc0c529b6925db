"""One unary call of gRPC (PROTOCOL-HTTP2): JSON becomes a message, and the message of the answer JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from stagedoor import _core
from stagedoor.engine import activities
from stagedoor.engine.proof import Proof
from stagedoor.engine.record import decode_json, encode_completed, encode_json
from stagedoor.engine.unsent import Unsent
from stagedoor.workflow.commands import Call
from stagedoor.workflow.events import CallCompleted, CallUnknown
from stagedoor.workflow.manner import Grpc

if TYPE_CHECKING:
    from stagedoor.engine.conversation import Conversation, Outcome

MAX_TEXT = 1000
"""Characters of a status's message that an error takes over."""
PREFIX = 5
"""Bytes before a message: whether it is compressed, and its length."""
CODES = (
    *(("OK", 200), ("CANCELLED", 499), ("UNKNOWN", 500), ("INVALID_ARGUMENT", 400), ("DEADLINE_EXCEEDED", 504)),
    *(("NOT_FOUND", 404), ("ALREADY_EXISTS", 409), ("PERMISSION_DENIED", 403), ("RESOURCE_EXHAUSTED", 429)),
    *(("FAILED_PRECONDITION", 400), ("ABORTED", 409), ("OUT_OF_RANGE", 400), ("UNIMPLEMENTED", 501)),
    *(("INTERNAL", 500), ("UNAVAILABLE", 503), ("DATA_LOSS", 500), ("UNAUTHENTICATED", 401)),
)
"""Names of the codes in their order, and their statuses of HTTP (google/rpc/code.proto)."""
DEADLINE_EXCEEDED = 4
INVALID = "The service answered with an invalid response"


async def talk(conversation: Conversation, call: Call, proof: Proof | None, grpc: Grpc) -> Outcome:
    try:
        message = grpc.method.encode(encode_json(call.body))
    except ValueError as wrong:
        raise Unsent(400, "Request not valid", f"its arguments are no message: {wrong}") from None
    number, cluster, method, target, headers, _, timeout_ms, token = conversation.request(call)
    if "://" in cluster:
        # Plain hosts speak HTTP/1.1 by default; this is the same one by HTTP/2.
        cluster = f"grpc+{cluster}"
    kept = [header for header in headers if header[0] not in ("accept", "content-type")]
    kept += [("content-type", "application/grpc+proto"), ("te", "trailers"), ("grpc-timeout", f"{timeout_ms}m")]
    body = b"\0" + len(message).to_bytes(4) + message
    notice = await conversation.proved((number, cluster, method, target, kept, body, timeout_ms, token), proof)
    at = conversation.around.clock()
    if isinstance(notice, _core.Unanswered):
        return activities.unanswered(call, notice, at), None
    return _outcome(call, notice, at, grpc)


def _outcome(call: Call, notice: _core.Answered, at: float, grpc: Grpc) -> Outcome:
    fields = dict(notice.headers)
    if "grpc-status" not in fields:
        if notice.status != 200:
            # Something before the service answered in its place.
            title = "The service could not be called"
            return CallCompleted(at, call.id, notice.status, {"title": title}), None
        return CallUnknown(at, call.id, 502, INVALID, "its answer has no grpc-status"), None
    status_field = fields["grpc-status"]
    code = int(status_field) if status_field.isdecimal() and len(status_field) < 10 else 2
    name, status = CODES[code] if code < len(CODES) else CODES[2]
    words = unquote(fields.get("grpc-message", ""))[:MAX_TEXT]
    if code == DEADLINE_EXCEEDED:
        # The time of the call ran out on the way: it may have been carried out.
        return CallUnknown(at, call.id, status, name, words or "the service did not answer in time"), None
    if code != 0:
        return CallCompleted(at, call.id, status, {"title": name, "detail": words or None}), None
    try:
        text = grpc.method.decode(_message(notice.body))
        return CallCompleted(at, call.id, 200, decode_json(text)), encode_completed(call.id, 200, text)
    except ValueError as wrong:
        return CallUnknown(at, call.id, 502, INVALID, str(wrong)), None


def _message(body: bytes) -> bytes:
    if len(body) < PREFIX or len(body) != PREFIX + int.from_bytes(body[1:PREFIX]):
        raise ValueError("its answer is not one message")
    if body[0] != 0:
        raise ValueError("its message is compressed, which it was not asked for")
    return body[PREFIX:]
