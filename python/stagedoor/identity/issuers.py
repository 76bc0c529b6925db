"""Each issuer's keys and metadata: fetched at the start, again and again, and when the data plane meets a key that it
does not know. What was fetched stays while the issuer does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Mapping

from stagedoor import _core
from stagedoor.config.issuer import Issuer, issuer_endpoint, metadata_url, source
from stagedoor.errors import StagedoorError
from stagedoor.identity.fetch import Fetcher, Unfetched

ENDPOINTS = ("authorization", "token", "introspection", "userinfo", "end_session")
"""Of the metadata, each without ``_endpoint``."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Between two tries while an issuer does not answer; doubled each time."""

log = logging.getLogger("stagedoor.identity")


class Issuers:
    """``use`` at the start and after each change of the configuration; ``wanted`` when a key is not known."""

    def __init__(self, plane: _core.DataPlane, fetcher: Fetcher) -> None:
        self._plane, self._fetcher = plane, fetcher
        self._keepers: dict[str, _Keeper] = {}

    def use(self, issuers: Mapping[str, Issuer]) -> None:
        for name in list(self._keepers):
            if self._keepers[name].issuer != issuers.get(name):
                self._keepers.pop(name).stop()
        for name, issuer in issuers.items():
            if source(issuer) is not None and name not in self._keepers:
                self._keepers[name] = _Keeper(name, issuer, self._plane, self._fetcher)

    def wanted(self, notice: _core.KeysWanted) -> None:
        keeper = self._keepers.get(notice.issuer)
        if keeper is not None:
            keeper.want(first=notice.first)

    def stop(self) -> None:
        self.use({})


class _Keeper:
    """Keeps what is known of one issuer fresh."""

    def __init__(self, name: str, issuer: Issuer, plane: _core.DataPlane, fetcher: Fetcher) -> None:
        self.issuer = issuer
        self._wanted = asyncio.Event()
        self._fetching = False
        self._known = False
        """The data plane has what was fetched."""
        self._name, self._plane, self._fetcher = name, plane, fetcher
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def want(self, *, first: bool) -> None:
        """``first``: for want of any keys, which a fetch brings that is under way, or has brought since."""
        if not (first and (self._fetching or self._known)):
            self._wanted.set()

    def stop(self) -> None:
        self._task.cancel()

    async def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                fetched = await self._fresh()
                self._plane.set_issuer(self._name, fetched)
                self._known = True
            except (StagedoorError, ValueError) as error:
                log.error("issuer '%s': what it publishes cannot be used: %s", self._name, error)
                self._plane.set_issuer(self._name, None)
                wait, pause = pause, min(pause * 2, LONGEST_PAUSE_S)
            else:
                wait, pause = int(self.issuer.refresh) / 1000, FIRST_PAUSE_S
            with contextlib.suppress(TimeoutError):
                # Not all gateways at the same moment.
                await asyncio.wait_for(self._wanted.wait(), wait * random.uniform(0.8, 1))

    async def _fresh(self) -> str:
        """Of a time after the last request for it."""
        while True:
            self._wanted.clear()
            self._fetching = True
            try:
                fetched = await self._fetch()
            finally:
                self._fetching = False
            if not self._wanted.is_set():
                return fetched

    async def _fetch(self) -> str:
        """For ``set_issuer``. Unfetched or ValueError say why not."""
        issuer = self.issuer
        keys, endpoints = issuer.jwks_url, {}
        discovered = metadata_url(issuer)
        if discovered is not None:
            metadata = await self._json(discovered)
            if not isinstance(metadata, dict) or metadata.get("issuer") != issuer.issuer:
                raise Unfetched(f"{discovered} is the metadata of another issuer")
            endpoints = self._endpoints(metadata)
            keys = keys or metadata.get("jwks_uri")
            if not isinstance(keys, str) and not issuer.has_keys():
                raise Unfetched(f"{discovered} names no jwks_uri")
        jwks = None
        if isinstance(keys, str):
            jwks = await self._fetcher.get(issuer_endpoint(issuer, keys))
        return json.dumps({"jwks": jwks, "endpoints": endpoints})

    async def _json(self, url: str) -> object:
        try:
            return json.loads(await self._fetcher.get(issuer_endpoint(self.issuer, url)))
        except (ValueError, RecursionError) as error:
            raise Unfetched(f"{url}: {error}") from None

    def _endpoints(self, metadata: Mapping[str, object]) -> dict[str, object]:
        endpoints: dict[str, object] = {}
        for name in ENDPOINTS:
            url = metadata.get(f"{name}_endpoint")
            if isinstance(url, str):
                try:
                    endpoints[name] = issuer_endpoint(
                        self.issuer, url, browser=name in ("authorization", "end_session")
                    )
                except ValueError as error:
                    log.warning("issuer '%s': %s_endpoint is left out: %s", self._name, name, error)
        return endpoints
