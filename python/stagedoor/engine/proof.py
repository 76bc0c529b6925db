"""By what a request proves itself, made of an authentication whose secrets are known here alone."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from stagedoor import _core
from stagedoor.engine import activities, digest
from stagedoor.engine.unsent import Unsent
from stagedoor.workflow.authentication import fault
from stagedoor.workflow.manner import Authentication
from stagedoor.workflow.secret import SECRETS, reveal

if TYPE_CHECKING:
    from stagedoor.engine.conversation import Surroundings

Json = Any

_TOKEN68 = re.compile(r"[\x21-\x7e]+")
REFUSED = "The call cannot be authenticated"


class Proof(Protocol):
    async def value(self, request: activities.Request) -> str | None:
        """Of ``Authorization``; None for none yet. Unsent says why there is none."""

    async def known(self) -> str | None:
        """The same before there is a request; None where it follows from the request. Unsent says why there is none."""

    async def renew(self, answer: _core.Answered) -> bool:
        """Whether there is another one, after this 401."""


async def prover(
    authentication: Authentication | None,
    secrets: Mapping[str, Json],
    around: Surroundings,
    server: str,
) -> Proof | None:
    """``server``: the cluster that is called."""
    if authentication is None:
        return None
    properties = properties_of(authentication, secrets)
    if authentication.scheme == "basic":
        return Fixed(basic(_text(properties, "username"), _text(properties, "password")))
    if authentication.scheme == "bearer":
        return Fixed("Bearer " + bearer(_text(properties, "token")))
    if authentication.scheme == "digest":
        return Digest(_text(properties, "username"), _text(properties, "password"), around.challenges, server)
    return around.tokens.of(authentication.scheme, properties)


def properties_of(authentication: Authentication, secrets: Mapping[str, Json]) -> dict[str, Json]:
    if authentication.secret is None:
        return dict(reveal(authentication.properties, {SECRETS: secrets}))
    found = secrets.get(authentication.secret)
    if found is None:
        raise Unsent(401, REFUSED, f"the secret {authentication.secret!r} is not there")
    wrong = fault(authentication.scheme, found)
    if wrong is not None:
        raise Unsent(401, REFUSED, f"the secret {authentication.secret!r} is none for {authentication.scheme}: {wrong}")
    return dict(found)


def _text(properties: Mapping[str, Json], name: str) -> str:
    value = properties[name]
    if not isinstance(value, str):
        raise Unsent(401, REFUSED, f"its {name} is not text")
    return value


def basic(user: str, password: str) -> str:
    """RFC 7617."""
    if ":" in user:
        raise Unsent(401, REFUSED, "a user's name holds no colon")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> str:
    """RFC 6750; the token itself, if a header can hold it."""
    if not _TOKEN68.fullmatch(token):
        raise Unsent(401, REFUSED, "the token is empty or has characters that a header cannot hold")
    return token


class Fixed:
    def __init__(self, value: str) -> None:
        self._value = value

    async def value(self, request: activities.Request) -> str | None:
        return self._value

    async def known(self) -> str | None:
        return self._value

    async def renew(self, answer: _core.Answered) -> bool:
        return False


class Digest:
    """RFC 7616: without a challenge of the server the request is sent bare, to be given one."""

    def __init__(self, user: str, password: str, challenges: digest.Challenges, server: str) -> None:
        self._user, self._password, self._challenges, self._server = user, password, challenges, server

    async def value(self, request: activities.Request) -> str | None:
        challenge = self._challenges.get(self._server, self._user)
        if challenge is None:
            return None
        return challenge.prove(self._user, self._password, request[2], request[3], request[5] or b"")

    async def known(self) -> str | None:
        return None

    async def renew(self, answer: _core.Answered) -> bool:
        before = self._challenges.get(self._server, self._user)
        found = digest.challenge(answer.headers)
        if found is None:
            self._challenges.forget(self._server, self._user)
            return False
        self._challenges.keep(self._server, self._user, found)
        # What was refused with a nonce that is good still is refused for the password.
        return before is None or found.stale or found.nonce != before.nonce
