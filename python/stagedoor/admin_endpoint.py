"""The gateway's admin endpoint: who may ask by the configuration, and what is answered from what serves."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Any

from stagedoor.admin.app import Admin, Certificate, Token
from stagedoor.config import Configuration
from stagedoor.config.admin import context, faults
from stagedoor.engine.measure import render
from stagedoor.engine.metrics import of_engine
from stagedoor.engine.operate import Operator
from stagedoor.engine.retention import Retention
from stagedoor.registry.refused import Refused
from stagedoor.serving import Serving

log = logging.getLogger("stagedoor.gateway")


class AdminEndpoint:
    """``waits_for`` says who has the store while this is a standby, ``draining`` whether the gateway ends."""

    def __init__(self, serving: Serving, waits_for: Callable[[], str | None], draining: Callable[[], bool]) -> None:
        self.address = ""
        """``IP:PORT``, once it is open."""
        self.standby, self._draining = waits_for, draining
        self._serving = serving
        self._admin: Admin | None = None
        self._tls: ssl.SSLContext | None = None

    @property
    def is_open(self) -> bool:
        return self._admin is not None

    async def open(self) -> None:
        """Bind and serve, if it does not yet. AdminError says why it cannot be."""
        if self._admin is not None:
            return
        configuration = self._serving.configuration
        settings = configuration.settings.admin
        if settings.tls is not None:
            self._tls = context(settings.tls, configuration.path.parent)
        certificates = [
            Certificate(name, each.mark, each.role == "write") for name, each in settings.certificates.items()
        ]
        tokens = _tokens(configuration)
        admin = Admin(self, settings.bind, tokens, self._serving.registry, Refused, self._tls, certificates)
        self.address = await admin.start()
        self._admin = admin

    async def close(self) -> None:
        if self._admin is not None:
            await self._admin.stop()
            self._admin = None

    def look(self, new: Configuration) -> None:
        """The files of certificates are new or were found good just now: handshakes from now on use them."""
        if self._tls is None or new.settings.admin.tls is None:
            return
        for _, name, fault in faults(new.settings.admin.tls, new.path.parent, self._tls):
            log.error("admin: tls: %s: %s", name, fault)

    # What it is asked.

    def trouble(self) -> str | None:
        waits_for, orchestrator = self.standby(), self._serving.orchestrator
        if self._draining():
            return "draining"
        if waits_for is not None:
            return f"standing by: {waits_for}"
        if orchestrator is not None and orchestrator.event_log.broken is not None:
            return "the store cannot be written"
        return None

    def metrics(self) -> str:
        if self.standby() is not None:
            return render("stagedoor_standby", "gauge", "1 while it waits for the store.", 1)
        own, orchestrator = "", self._serving.orchestrator
        if orchestrator is not None:
            own = of_engine(orchestrator.engine, orchestrator.event_log) + orchestrator.retention.metrics()
        return self._serving.plane.metrics() + own

    def purge(self, what: str, value: str, soft: bool) -> int:
        hit = self._serving.plane.purge(what, value, soft)
        log.info("cache purged", extra={"what": what, "value": value, "soft": soft, "responses": hit})
        return hit

    def versions(self) -> Any:
        return self._serving.plane.versions()

    def cache_level(self) -> dict[str, int]:
        return self._serving.plane.cache_level()

    def executions(self) -> Operator | None:
        orchestrator = self._serving.orchestrator
        return None if orchestrator is None else orchestrator.operator

    def events(self) -> Operator | None:
        return self.executions()

    def retention(self) -> Retention | None:
        orchestrator = self._serving.orchestrator
        return None if orchestrator is None else orchestrator.retention


def _tokens(configuration: Configuration) -> list[Token]:
    admin = configuration.settings.admin
    tokens = [Token(name, each.token.get_secret_value(), each.role == "write") for name, each in admin.tokens.items()]
    return tokens + ([Token("admin", admin.token.get_secret_value(), True)] if admin.token is not None else [])
