"""The admin endpoint's server: who may ask, whether the gateway is well, and what it counts."""

from __future__ import annotations

import hashlib
import hmac
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Protocol

from aiohttp import web

from stagedoor.admin import api, apis, cache, events, purge, registry
from stagedoor.admin.api import Executions, problem
from stagedoor.admin.certificate import marks
from stagedoor.admin.events import Events
from stagedoor.admin.purge import Retention
from stagedoor.admin.registry import WHO, Registry
from stagedoor.errors import StagedoorError, Unavailable

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Asked by load balancers and supervisors, which have no token; they say nothing else than well or not."""
STANDBY_PATHS = OPEN_PATHS | {"/metrics"}
"""All that is answered by a gateway that waits for its store."""
SHUTDOWN_S = 2.0
LOCAL = "local"
"""Who asks where no token is asked for: anybody on this machine."""
log = logging.getLogger("stagedoor.admin")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway(Protocol):
    """What the endpoint asks."""

    def trouble(self) -> str | None:
        """Why no traffic should be sent here, or None."""

    def standby(self) -> str | None:
        """What it waits for before it does anything, or None."""

    def metrics(self) -> str:
        """Prometheus text format."""

    def purge(self, what: str, value: str, soft: bool) -> int:
        """How many stored responses were hit; ValueError says what is wrong with the value."""

    def versions(self) -> Any:
        """The APIs with their versions and who uses them."""

    def cache_level(self) -> dict[str, int]:
        """What the cache holds."""

    def executions(self) -> Executions | None:
        """None where no workflows are configured."""

    def retention(self) -> Retention | None:
        """None where no workflows are configured."""

    def events(self) -> Events | None:
        """None where no workflows are configured."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who may ask, and whether for changes too."""

    name: str
    secret: str
    may_write: bool

    def __repr__(self) -> str:
        return f"Token({self.name!r})"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Who may ask by showing one, and whether for changes too."""

    name: str
    mark: tuple[str, str]
    """What the certificate says, and its value: ``("uri", "spiffe://…")``."""
    may_write: bool


class AdminError(StagedoorError):
    """The admin endpoint cannot be served as it is configured."""


class Admin:
    """``bind`` is ``IP:PORT``; beyond loopback ``tokens`` or ``certificates`` are required, one of which every request
    but those for health must carry as ``Authorization: Bearer`` or show. ``refused`` is what the registry raises."""

    def __init__(
        self,
        gateway: Gateway,
        bind: str,
        tokens: Sequence[Token],
        registry: Registry,
        refused: type[Exception],
        tls: ssl.SSLContext | None = None,
        certificates: Sequence[Certificate] = (),
    ) -> None:
        host, _, port = bind.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        if not tokens and not certificates and not ip_address(self._host).is_loopback:
            raise AdminError(f"the admin endpoint needs a token to be reachable at {bind}: set admin.token")
        self._gateway = gateway
        self._tls = tls
        self._certificates = {each.mark: each for each in certificates}
        self._tokens = [(_digest(token.secret), token) for token in tokens]
        self._registry, self._refused = registry, refused
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Bind and serve; the bound address. AdminError if it cannot be bound."""
        app = web.Application(middlewares=[self._answer_errors, self._authorize], client_max_size=1024 * 1024)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        api.add(app, self._gateway.executions)
        purge.add(app, self._gateway.retention)
        events.add(app, self._gateway.events)
        cache.add(app, self._gateway)
        apis.add(app, self._gateway)
        registry.add(app, self._registry, self._refused)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or str(error)
            raise AdminError(f"the admin endpoint cannot be bound to {self._host}:{self._port}: {reason}") from None
        host, port = self._runner.addresses[0][:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = problem(HTTPStatus(error.status), error.reason)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except Unavailable as error:
            return _later(str(error))
        except Exception:
            log.exception("admin request failed", extra={"path": request.path})
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the log says why")

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN_PATHS:
            return await handler(request)
        request[WHO] = LOCAL
        if self._tokens or self._certificates:
            known = self._known(request)
            if known is None:
                shown = "show a certificate that is known here, or " if self._certificates else ""
                answer = problem(HTTPStatus.UNAUTHORIZED, f"{shown}send the token as Authorization: Bearer")
                answer.headers["WWW-Authenticate"] = 'Bearer realm="stagedoor admin"'
                return answer
            if not known.may_write and request.method not in ("GET", "HEAD"):
                return problem(HTTPStatus.FORBIDDEN, f"{known.name} may read and not change anything")
            request[WHO] = known.name
        waits_for = self._gateway.standby()
        if waits_for is not None and request.path not in STANDBY_PATHS:
            return _later(f"this gateway stands by: {waits_for}")
        return await handler(request)

    def _known(self, request: web.Request) -> Token | Certificate | None:
        """A token that is sent decides, also where it is wrong."""
        given = request.headers.getall("Authorization", [])
        if given:
            scheme, _, secret = given[0].partition(" ")
            return self._find(secret.strip()) if len(given) == 1 and scheme.lower() == "bearer" else None
        shown = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
        found = {self._certificates[mark] for mark in marks(shown) if mark in self._certificates}
        # One certificate of two operators: nobody could tell who asks.
        return found.pop() if len(found) == 1 else None

    def _find(self, secret: str) -> Token | None:
        """All are compared, and digests have one length, so the time tells nothing of any token."""
        asked, found = _digest(secret), None
        for digest, token in self._tokens:
            if hmac.compare_digest(asked, digest):
                found = token
        return found

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, request: web.Request) -> web.Response:
        trouble = self._gateway.trouble()
        if trouble is None:
            return web.json_response({"status": "ready"})
        return web.json_response({"status": "not ready", "reason": trouble}, status=503)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._gateway.metrics().encode(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def _later(detail: str) -> web.Response:
    answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)
    answer.headers["Retry-After"] = "1"
    return answer


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
