"""One request to a server of the Model Context Protocol: a session is opened, used once, and closed (Streamable HTTP,
revision 2025-06-18; the older and newer ones of ``KNOWN`` where the server speaks those)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stagedoor import _core
from stagedoor.engine import activities
from stagedoor.engine.proof import Proof
from stagedoor.engine.record import decode_json
from stagedoor.engine.unsent import Unsent
from stagedoor.workflow.commands import Call
from stagedoor.workflow.events import CallCompleted, CallUnknown
from stagedoor.workflow.manner import Mcp

if TYPE_CHECKING:
    from stagedoor.engine.conversation import Conversation, Outcome

Json = Any

KNOWN = frozenset({"2025-03-26", "2025-06-18", "2025-11-25"})
MAX_TEXT = 1000
"""Characters of a failed tool's words that an error takes over."""
REFUSED = "The MCP server cannot be used"
STATUSES = {-32700: 400, -32600: 400, -32601: 404, -32602: 400, -32002: 404}
"""JSON-RPC's codes as statuses of errors; any other is 500."""


async def talk(conversation: Conversation, call: Call, proof: Proof | None, mcp: Mcp) -> Outcome:
    """Raises ``Unsent`` while nothing but the session was asked for."""
    client = {"name": mcp.client, "version": mcp.client_version}
    opening = {"protocolVersion": mcp.version, "capabilities": {}, "clientInfo": client}
    first = _request(conversation, call, [], {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening})
    notice = await conversation.proved(first, proof)
    extra = _opened(notice)
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await conversation.proved(_request(conversation, call, extra, initialized), proof)
    asked = {"jsonrpc": "2.0", "id": 1, "method": mcp.method, "params": call.body}
    notice = await conversation.proved(_request(conversation, call, extra, asked), proof)
    if any(name == "mcp-session-id" for name, _ in extra):
        conversation.around.later(_close(conversation, call, extra, proof))
    at = conversation.around.clock()
    if isinstance(notice, _core.Unanswered):
        return activities.unanswered(call, notice, at), None
    if notice.status != 200:
        return activities.outcome(call, notice, at)
    answer = _message(notice, 1)
    if answer is None:
        title = "The service answered with an invalid response"
        return CallUnknown(at, call.id, 502, title, "the answer holds no message with the request's id"), None
    return CallCompleted(at, call.id, *_meaning(answer)), None


def _request(
    conversation: Conversation, call: Call, extra: list[tuple[str, str]], body: Json, method: str = "POST"
) -> activities.Request:
    number, cluster, _, target, headers, _, timeout_ms, token = conversation.request(call)
    own = {"accept", "content-type", "mcp-session-id", "mcp-protocol-version"}
    kept = [header for header in headers if header[0] not in own]
    kept += [("accept", "application/json, text/event-stream"), *extra]
    if method == "DELETE":
        return number, cluster, method, target, kept, None, timeout_ms, token
    if body.get("id") != 1:
        # What opens a session is another request than the one that the key is of.
        kept = [header for header in kept if header[0] != "idempotency-key"]
    kept.append(("content-type", "application/json"))
    return number, cluster, method, target, kept, json.dumps(body).encode(), timeout_ms, token


def _opened(notice: _core.Answered | _core.Unanswered) -> list[tuple[str, str]]:
    """The header fields of the session."""
    if isinstance(notice, _core.Unanswered):
        raise Unsent(notice.status, notice.code, notice.detail)
    if notice.status != 200:
        raise Unsent(notice.status, REFUSED, f"it answered {notice.status} to initialize")
    answer = _message(notice, 0)
    result = answer.get("result") if answer is not None else None
    version = result.get("protocolVersion") if isinstance(result, dict) else None
    if not isinstance(version, str):
        said = _meaning(answer)[1] if answer is not None else {}
        raise Unsent(502, REFUSED, str(said.get("detail") or "it did not answer to initialize")[:MAX_TEXT])
    if version not in KNOWN:
        raise Unsent(502, REFUSED, "it speaks no version of the protocol that is known here")
    session = [("mcp-session-id", value) for name, value in notice.headers if name == "mcp-session-id"]
    return [*session[:1], ("mcp-protocol-version", version)]


async def _close(conversation: Conversation, call: Call, extra: list[tuple[str, str]], proof: Proof | None) -> None:
    await conversation.proved(_request(conversation, call, extra, {}, "DELETE"), proof)


def _message(notice: _core.Answered, number: int) -> dict[str, Json] | None:
    """The answer to a request, of JSON or of a stream of events."""
    kind = next((value for name, value in notice.headers if name == "content-type"), "")
    texts: Iterator[str] = iter([notice.body.decode("utf-8", "replace")])
    if kind.partition(";")[0].strip().lower() == "text/event-stream":
        texts = _events(next(texts))
    for text in texts:
        try:
            value = decode_json(text)
        except (ValueError, RecursionError):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and each.get("id") == number and ("result" in each or "error" in each):
                return each
    return None


def _events(stream: str) -> Iterator[str]:
    """The data of each server-sent event."""
    data: list[str] = []
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _meaning(answer: dict[str, Json]) -> tuple[int, Json]:
    """Status and content: a result, or an error's words."""
    if "error" in answer:
        error = answer["error"] if isinstance(answer["error"], dict) else {}
        code, message = error.get("code"), error.get("message")
        status = STATUSES.get(code, 500) if isinstance(code, int) else 500
        return status, {"title": "The MCP server refused the request", "detail": _short(message)}
    result = answer["result"]
    if isinstance(result, dict) and result.get("isError") is True:
        content = result.get("content")
        parts = content if isinstance(content, list) else []
        words = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return 500, {"title": "The tool failed", "detail": _short(" ".join(words))}
    return 200, result


def _short(text: Json) -> str | None:
    return text[:MAX_TEXT] if isinstance(text, str) and text else None
