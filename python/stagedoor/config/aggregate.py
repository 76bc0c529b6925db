"""A target that makes one answer of several services'."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from stagedoor.config.cluster import Retry, RetryOn, compile_retry
from stagedoor.config.expression import Expression
from stagedoor.policies.cache import Cache, compile_cache
from stagedoor.policies.model import (
    HeaderName,
    HeaderValue,
    Method,
    Name,
    OneSpelling,
    StatusCode,
    Strict,
    duration,
    size,
    wrong,
)
from stagedoor.policies.unit import Duration, Size
from stagedoor.policies.validate import File

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def _call_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong("a call's name is 1 to 64 letters, digits and '_', and begins with a letter")
    return value


CallName = Annotated[str, AfterValidator(_call_name)]
"""As expressions can name it, ``.answers.NAME``."""
Text = Annotated[str, Field(max_length=8192)]
FieldPath = Annotated[str, Field(min_length=1, max_length=1000)]
Fields = Annotated[list[FieldPath], Field(max_length=200)]


class Each(Strict):
    """One call for each item of a list, which its texts name ``{item}`` and ``.item``."""

    items: Annotated[Expression, Field(alias="in")]
    """``${ jq }`` that yields a list."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 8
    """Calls at once."""
    most: Annotated[int, Field(ge=1, le=1000)] = 100
    """Items; of a longer list nothing is called, and the call has failed."""


class CallRetry(Strict):
    """When a call is tried again, in place of the cluster's ``retry``; the cluster's budget holds."""

    attempts: Annotated[int, Field(ge=0, le=10)] = 1
    """Further attempts after the first; 0 is none."""
    on: Annotated[list[RetryOn], Field(max_length=50)] = ["connect_failure"]
    """``connect_failure``, statuses (``503``) and ranges of them (``502-504``)."""


def _each_shape(value: Any) -> str:
    return "<list>" if isinstance(value, str) else "<each>"


def _pick_shape(value: Any) -> str:
    return "<jq>" if isinstance(value, str) else "<fields>"


class AggregateCall(Strict):
    """A call to one service."""

    cluster: Name
    """A name of ``clusters``."""
    method: Method = "GET"
    """One that changes nothing: GET, QUERY or OPTIONS, unless ``safe`` is declared."""
    path: Text
    """The path to ask for, with ``{params.id}``, ``{query.NAME}``, ``{headers.NAME}``, ``{consumer.id}``,
    ``{answers.CALL.FIELD}`` and ``{item.FIELD}``, or with ``${ jq }``."""
    query: Annotated[dict[str, Text], Field(max_length=32)] = {}
    """Parameters, made in the same way; one of which a value is missing is left out."""
    headers: Annotated[
        dict[HeaderName, Annotated[HeaderValue, Field(max_length=8192)]], Field(max_length=32), OneSpelling
    ] = {}
    """Headers in place of the client's, made in the same way; one of which a value is missing is left out."""
    body: Expression | None = None
    """``${ jq }``, sent as JSON."""
    safe: bool = False
    """Declares that the call changes nothing, whatever its method: a search by POST."""
    after: Annotated[list[CallName], Field(max_length=32)] = []
    """Calls that must have ended before, because their answers are used. Left out: it begins at once."""
    condition: Annotated[Expression | None, Field(alias="if")] = None
    """``${ jq }``: the call is made unless that yields false or null."""
    each: (
        Annotated[Annotated[Expression, Tag("<list>")] | Annotated[Each, Tag("<each>")], Discriminator(_each_shape)]
        | None
    ) = None
    """One call for each item of a list: ``${ jq }`` that yields it, or with bounds. The answer is the list of
    answers."""
    timeout: Duration | None = duration(None, least="1ms", most="1d", optional=True)
    """How long the call may take. Left out: as long as the cluster says."""
    retry: CallRetry | None = None
    """When it is tried again. Left out: as the cluster says."""
    cache: Cache | None = None
    """Its answers are kept and used again. Left out: every request asks."""
    optional: bool = False
    """The answer does without it where it fails."""
    default: Any = None
    """What stands in its place where it failed or was not made. Left out: its key is left out."""
    format: Literal["json", "text"] = "json"
    """How an answer is read, whatever its ``Content-Type``: as JSON, or as UTF-8 that becomes a string."""
    max_size: Size = size("1MiB", least="1B", most="16MiB")
    """The largest answer; a larger one is a failure."""
    pick: (
        Annotated[
            Annotated[str, Tag("<jq>"), Field(max_length=8192)] | Annotated[Fields, Tag("<fields>")],
            Discriminator(_pick_shape),
        ]
        | None
    ) = None
    """What is taken of the answer: fields such as ``address.city``, or jq over it as text. Left out: all."""
    deny: Fields = []
    """Fields that are left out."""
    rename: Annotated[dict[str, Annotated[str, Field(max_length=1000)]], Field(max_length=200)] = {}
    """Field → its new name."""
    openapi: File | None = None
    """An OpenAPI document of the service: ``stagedoor check`` compares names of fields with it."""
    group: Name | None = None
    """The key of an object in the body that holds the answers of all calls of this group."""


class AggregateResponse(Strict):
    """What a client gets when the calls have ended."""

    status: StatusCode = 200
    """The status code."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100), OneSpelling] = {}
    """Values are text, or ``${ jq }`` over the request, ``answers`` and ``problems``."""
    body: Expression | None = None
    """``${ jq }`` over the same. Left out: an object with one key for each call, or group."""


class AggregateTarget(Strict):
    """Make one answer of several services'."""

    aggregate: Annotated[dict[CallName, AggregateCall], Field(min_length=1, max_length=32)]
    """The calls by name, in the order in which their answers stand in the body."""
    timeout: Duration = duration("30s", least="1ms", most="1d")
    """All calls together, from the request's arrival; longer is answered with 504."""
    max_size: Size = size("8MiB", least="1B", most="64MiB")
    """All answers together; more is answered with 502."""
    problems: Name | None = None
    """The key of the body under which failed calls are told, each as problem details. Left out: only a header tells
    of them."""
    response: AggregateResponse = AggregateResponse()
    """What a client gets."""


def compile_aggregate(target: AggregateTarget) -> dict[str, Any]:
    """Its part of the snapshot."""
    response = target.response
    return {
        "calls": [_call(name, call) for name, call in target.aggregate.items()],
        "timeout_ms": int(target.timeout),
        "body_bytes": int(target.max_size),
        "problems": target.problems,
        "response": {"status": response.status, "headers": dict(response.headers), "body": response.body},
    }


def _call(name: str, call: AggregateCall) -> dict[str, Any]:
    return {
        "name": name,
        "cluster": call.cluster,
        "method": call.method,
        "path": call.path,
        "query": dict(call.query),
        "headers": dict(call.headers),
        "body": call.body,
        "safe": call.safe,
        "after": list(call.after),
        "if": call.condition,
        "each": _each(Each.model_validate({"in": call.each}) if isinstance(call.each, str) else call.each),
        "timeout_ms": None if call.timeout is None else int(call.timeout),
        "retry": None if call.retry is None else compile_retry(Retry(attempts=call.retry.attempts, on=call.retry.on)),
        **({} if call.cache is None else {"cache": compile_cache(call.cache)}),
        "optional": call.optional,
        "default": None if call.default is None else json.dumps(call.default, ensure_ascii=False),
        "format": call.format,
        "body_bytes": int(call.max_size),
        "filter": call.pick if isinstance(call.pick, str) else None,
        "shape": {
            "pick": list(call.pick) if isinstance(call.pick, list) else [],
            "deny": list(call.deny),
            "rename": dict(call.rename),
        },
        "group": call.group,
    }


def _each(each: Each | None) -> dict[str, Any] | None:
    return None if each is None else {"in": each.items, "parallel": each.parallel, "most": each.most}
