"""A call that takes more than one request: its proof is got first, it is sent again after a challenge, redirections
are followed. All of it goes through the data plane's clusters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from stagedoor import _core
from stagedoor.engine import activities, activities_grpc, activities_mcp
from stagedoor.engine.digest import Challenges
from stagedoor.engine.proof import Proof, prover
from stagedoor.engine.reach import Reach
from stagedoor.engine.redirect import MAX_REDIRECTS, follow
from stagedoor.engine.tokens import Tokens
from stagedoor.engine.unsent import Unsent
from stagedoor.workflow.commands import Call
from stagedoor.workflow.events import CallCompleted, CallFailed, CallUnknown
from stagedoor.workflow.expression import AUTHORIZATION
from stagedoor.workflow.manner import SCHEMES
from stagedoor.workflow.secret import SECRETS, Unrevealed, is_deferred, reveal

Json = Any
Notice = _core.Answered | _core.Unanswered
Send = Callable[[activities.Request], Awaitable[Notice]]
"""Sends a request, whose number does not count, and waits for what becomes of it."""
Outcome = tuple[CallCompleted | CallFailed | CallUnknown, str | None]
"""An event, and the same as the log's ``data`` where that is at hand."""


@dataclass(slots=True)
class Surroundings:
    """What conversations of one engine share."""

    send: Send
    clock: Callable[[], float]
    reach: Reach = Reach()  # noqa: RUF009 - immutable
    tokens: Tokens = field(init=False)
    challenges: Challenges = field(default_factory=Challenges)
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self)

    def later(self, rest: Coroutine[Any, Any, None]) -> None:
        """What nobody waits for, and whose failure is nobody's."""
        task = asyncio.get_running_loop().create_task(rest)
        self._later.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._later.discard(task)
            if not task.cancelled():
                task.exception()

        task.add_done_callback(ended)


@dataclass(slots=True)
class Conversation:
    """One call of one execution."""

    call: Call
    around: Surroundings
    declared: frozenset[str]
    """Names of secrets that the document may use."""
    trace: str | None
    caller_token: activities.CallerToken
    deadline: float = 0.0

    async def run(self) -> Outcome:
        """Raises nothing that is the call's own fault."""
        call = self.call
        timeout = call.manner.timeout if call.manner is not None else None
        self.deadline = asyncio.get_running_loop().time() + (timeout or activities.TIMEOUT_S)
        try:
            return await self._talk()
        except Unsent as why:
            return CallFailed(self.around.clock(), call.id, why.status, why.title, why.detail), None
        except UnicodeEncodeError:
            detail = "its proof or a parameter is not Unicode text"
            return CallFailed(self.around.clock(), call.id, 400, "The call is not valid", detail), None
        except Unrevealed as why:
            return CallFailed(self.around.clock(), call.id, 401, "A secret cannot be used", str(why)), None

    async def _talk(self) -> Outcome:
        manner = self.call.manner
        assert manner is not None
        where = activities.place(self.call.endpoint, self.around.reach)
        if isinstance(where, activities.Refused):
            raise Unsent(502, where.title, where.detail)
        proof = await prover(manner.authentication, self._secrets(), self.around, where[0])
        call = await self._revealed(proof)
        request = self.request(call)
        if manner.mcp is not None:
            return await activities_mcp.talk(self, call, proof, manner.mcp)
        if manner.grpc is not None:
            return await activities_grpc.talk(self, call, proof, manner.grpc)
        notice = await self.proved(request, proof, anew=manner.deferred)
        hops = 0
        while manner.follow and isinstance(notice, _core.Answered):
            following = follow(request, notice, self.around.reach)
            if following is None:
                break
            hops += 1
            if hops > MAX_REDIRECTS:
                detail = f"the service redirects more than {MAX_REDIRECTS} times"
                raise Unsent(502, "Too many redirections", detail)
            request, leaves = following
            if leaves and request[5] is not None and is_deferred(self.call.body):
                # What it is made of is for the server that the document names.
                break
            proof = None if leaves else proof
            notice = await self.proved(request, proof)
        if isinstance(notice, _core.Unanswered):
            return activities.unanswered(self.call, notice, self.around.clock()), None
        return activities.outcome(self.call, notice, self.around.clock())

    def _secrets(self) -> dict[str, Json]:
        known = self.around.reach.secrets
        return {name: known[name] for name in self.declared if name in known}

    def request(self, call: Call) -> activities.Request:
        request = activities.request(call, 0, self.trace, self.around.reach, self.caller_token)
        if isinstance(request, activities.Refused):
            raise Unsent(502, request.title, request.detail)
        return request

    async def _revealed(self, proof: Proof | None) -> Call:
        """The call with everything that is known only now."""
        manner = self.call.manner
        if manner is None or not manner.deferred:
            return self.call
        authorization = None
        if proof is not None and manner.authentication is not None:
            value = await proof.known()
            parameter = None if value is None else value.partition(" ")[2]
            authorization = {"scheme": SCHEMES[manner.authentication.scheme], "parameter": parameter}
        return _revealed(self.call, {SECRETS: self._secrets(), AUTHORIZATION: authorization})

    async def proved(self, request: activities.Request, proof: Proof | None, *, anew: bool = False) -> Notice:
        """Sent with its proof, and once more with another one if the first was refused; ``anew``: the request itself
        may hold it, and is made again."""
        if proof is None:
            return await self._send(request)
        notice = await self._send(self._placed(request, await proof.value(request)))
        # 401 is an answer before the request was looked at (RFC 9110 §15.5.2): it may be repeated whatever its method.
        if isinstance(notice, _core.Answered) and notice.status == 401 and await proof.renew(notice):
            if anew:
                request = self.request(await self._revealed(proof))
            notice = await self._send(self._placed(request, await proof.value(request)))
        return notice

    def _placed(self, request: activities.Request, value: str | None) -> activities.Request:
        manner = self.call.manner
        place = None if manner is None or manner.authentication is None else manner.authentication.place
        if place is None or value is None:
            return with_header(request, value)
        return with_key(request, *place, value.removeprefix("Bearer "))

    async def _send(self, request: activities.Request) -> Notice:
        left = self.deadline - asyncio.get_running_loop().time()
        number, cluster, method, target, headers, body, timeout_ms, token = request
        manner = self.call.manner
        most = timeout_ms if manner is None or manner.timeout is None else int(manner.timeout * 1000)
        within = min(most, max(1, int(left * 1000)))
        return await self.around.send((number, cluster, method, target, headers, body, within, token))


def with_key(request: activities.Request, location: str, name: str, key: str) -> activities.Request:
    """The request with an API key where its service wants it: a header, a parameter of the query, or a cookie."""
    number, cluster, method, target, headers, *rest = request
    if location == "query":
        target += ("&" if "?" in target else "?") + urlencode({name: key})
        return (number, cluster, method, target, headers, *rest)  # type: ignore[return-value]
    if location == "cookie":
        cookies = [value for header, value in headers if header == "cookie"]
        value, name = "; ".join([*cookies, f"{name}={quote(key)}"]), "cookie"
    else:
        value, name = key, name.lower()
    kept = [header for header in headers if header[0] != name]
    return (number, cluster, method, target, [*kept, (name, value)], *rest)  # type: ignore[return-value]


def with_header(request: activities.Request, value: str | None) -> activities.Request:
    """The request with this ``Authorization``, in place of one that it has."""
    if value is None:
        return request
    number, cluster, method, target, headers, *rest = request
    kept = [header for header in headers if header[0] != "authorization"]
    return (number, cluster, method, target, [*kept, ("authorization", value)], *rest)  # type: ignore[return-value]


def _revealed(call: Call, known: Mapping[str, Json]) -> Call:
    headers, query = reveal(call.headers, known), reveal(call.query, known)
    for what, texts in (("header", headers), ("query parameter", query)):
        for name, value in texts.items():
            if not isinstance(value, str):
                raise Unrevealed(f"{what} {name!r} is not text")
    return replace(call, headers=headers, query=query, body=reveal(call.body, known))
