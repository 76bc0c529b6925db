"""Digest access authentication (RFC 7616), as a client."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from stagedoor.engine.unsent import Unsent

MAX_CHALLENGES = 1_000
"""Servers and users whose last challenge is kept."""
MAX_CHALLENGE = 8 * 1024
"""Characters of a ``WWW-Authenticate`` that are looked at."""

_ALGORITHMS = {"SHA-256": "sha256", "SHA-512-256": "sha512_256", "MD5": "md5"}
_PREFERRED = ("SHA-512-256", "SHA-256", "MD5")
_SCHEME = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?=\s+[^\s=,]|\s*,|\s*$)\s*")
_PARAMETER = re.compile(r'[\s,]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(slots=True)
class Challenge:
    realm: str
    nonce: str
    algorithm: str
    """Of ``_ALGORITHMS``."""
    session: bool
    qop: str | None
    opaque: str | None
    userhash: bool
    stale: bool
    count: int = 0
    """Requests that were proved by it."""

    def prove(self, user: str, password: str, method: str, target: str, body: bytes) -> str:
        """The value of ``Authorization``."""
        self.count += 1
        cnonce, count = secrets.token_hex(16), f"{self.count:08x}"
        secret = self._hash(f"{user}:{self.realm}:{password}".encode())
        if self.session:
            secret = self._hash(f"{secret}:{self.nonce}:{cnonce}".encode())
        about = f"{method}:{target}"
        if self.qop == "auth-int":
            about += ":" + self._hash(body)
        middle = self.nonce if self.qop is None else f"{self.nonce}:{count}:{cnonce}:{self.qop}"
        response = self._hash(f"{secret}:{middle}:{self._hash(about.encode())}".encode())
        name = self._hash(f"{user}:{self.realm}".encode()) if self.userhash else user
        suffix = "-sess" if self.session else ""
        fields = [
            _named(name) if self.userhash or name.isascii() else f"username*=UTF-8''{_extended(name)}",
            f'realm={_quoted(self.realm)}, nonce={_quoted(self.nonce)}, uri={_quoted(target)}, response="{response}"',
            f"algorithm={self.algorithm}{suffix}",
        ]
        if self.qop is not None:
            fields.append(f'qop={self.qop}, nc={count}, cnonce="{cnonce}"')
        elif self.session:
            fields.append(f'cnonce="{cnonce}"')
        if self.opaque is not None:
            fields.append(f"opaque={_quoted(self.opaque)}")
        if self.userhash:
            fields.append("userhash=true")
        return "Digest " + ", ".join(fields)

    def _hash(self, content: bytes) -> str:
        return hashlib.new(_ALGORITHMS[self.algorithm], content, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Challenges:
    """The last challenge of each server and user, so that most requests are sent once."""

    _kept: OrderedDict[tuple[str, str], Challenge] = field(default_factory=OrderedDict)

    def get(self, server: str, user: str) -> Challenge | None:
        found = self._kept.get((server, user))
        if found is not None:
            self._kept.move_to_end((server, user))
        return found

    def keep(self, server: str, user: str, challenge: Challenge) -> None:
        self._kept[server, user] = challenge
        self._kept.move_to_end((server, user))
        if len(self._kept) > MAX_CHALLENGES:
            self._kept.popitem(last=False)

    def forget(self, server: str, user: str) -> None:
        self._kept.pop((server, user), None)


def challenge(headers: list[tuple[str, str]]) -> Challenge | None:
    """The strongest challenge of an answer that can be met; None if it has none for digests."""
    known = [found for found in _challenges(headers) if found.algorithm in _ALGORITHMS]
    return min(known, key=lambda each: _PREFERRED.index(each.algorithm), default=None)


def _challenges(headers: list[tuple[str, str]]) -> Iterator[Challenge]:
    for name, value in headers:
        if name == "www-authenticate":
            for scheme, parameters in _schemes(value[:MAX_CHALLENGE]):
                if scheme == "digest" and "nonce" in parameters:
                    made = _made(parameters)
                    if made is not None:
                        yield made


def _schemes(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Challenges of one field: each a scheme and its parameters (RFC 9110 §11.6.1)."""
    at = 0
    while at < len(value) and (scheme := _SCHEME.match(value, at)):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(value, at):
            text = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
            parameters.setdefault(found[1].lower(), text)
            at = found.end()
        yield scheme[1].lower(), parameters
        comma = value.find(",", at)
        if comma < 0:
            return
        at = comma + 1


def _made(parameters: dict[str, str]) -> Challenge | None:
    algorithm = parameters.get("algorithm", "MD5").upper()
    session = algorithm.endswith("-SESS")
    offered = [each.strip().lower() for each in parameters.get("qop", "").split(",") if each.strip()]
    qop = next((each for each in ("auth", "auth-int") if each in offered), None)
    if offered and qop is None:
        return None
    return Challenge(
        parameters.get("realm", ""),
        parameters["nonce"],
        algorithm.removesuffix("-SESS"),
        session,
        qop,
        parameters.get("opaque"),
        parameters.get("userhash", "").lower() == "true",
        parameters.get("stale", "").lower() == "true",
    )


def _quoted(text: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise Unsent(401, "The call cannot be authenticated", "the server's challenge has characters that HTTP forbids")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _named(name: str) -> str:
    return f"username={_quoted(name)}"


def _extended(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())
