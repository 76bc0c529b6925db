"""The engine as a client of a token endpoint (RFC 6749), on behalf of a workflow's calls."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from stagedoor import _core
from stagedoor.engine import activities
from stagedoor.engine.proof import REFUSED, basic, bearer
from stagedoor.engine.unsent import Unsent
from stagedoor.workflow.authentication import ENCODINGS, EXCHANGE

if TYPE_CHECKING:
    from stagedoor.engine.conversation import Surroundings

Json = Any

TIMEOUT_MS = 10_000
"""A request to a token endpoint, or for metadata."""
LIFETIME_S = 300.0
"""Of a token of which the authority does not say it."""
EARLY_S = 30.0
"""Before its end a token is renewed, but not before nine tenths of its life are over."""
ASSERTION_S = 60
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class Token:
    text: str = field(repr=False)
    renew: float
    """Seconds since the epoch."""
    refresh: str | None = field(default=None, repr=False)


async def ask(scheme: str, properties: Mapping[str, Json], before: Token | None, around: Surroundings) -> Token:
    """A token for these properties; with the refresh token of the one before, if it had one. Raises ``Unsent``."""
    endpoint = await _endpoint(scheme, properties, around)
    if before is not None and before.refresh is not None:
        refresh = before.refresh
        before.refresh = None
        try:
            pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh)]
            token = await _request(endpoint, properties, pairs, around)
            # Without another one the refresh token goes on to be good (RFC 6749 §6).
            token.refresh = token.refresh or refresh
            return token
        except Unsent:
            pass  # It has ended or was used: the grant itself counts.
    return await _request(endpoint, properties, _grant(properties), around)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    url: str
    audience: str
    """Of assertions: the authority by its own name, where that is known (RFC 7523 §3), otherwise the URL."""


async def _endpoint(scheme: str, properties: Mapping[str, Json], around: Surroundings) -> _Endpoint:
    authority = _text(properties, "authority").rstrip("/")
    if scheme == "oauth2":
        path = _map(properties, "endpoints").get("token", "/oauth2/token")
        if not isinstance(path, str):
            raise Unsent(401, REFUSED, "endpoints.token is not text")
        url = path if "://" in path else f"{authority}/{path.removeprefix('/')}"
        return _Endpoint(url, url)
    # OpenID Connect Discovery 1.0 §4.
    url = f"{authority}/.well-known/openid-configuration"
    metadata = await _json(url, "GET", [("accept", "application/json")], None, around)
    found = metadata.get("token_endpoint")
    if not isinstance(found, str):
        raise Unsent(503, REFUSED, f"{url} names no token_endpoint")
    if authority.startswith("cluster://"):
        # The authority knows itself by a name of its own; it is called where the document says.
        try:
            parts = urlsplit(found)
        except ValueError:
            raise Unsent(503, REFUSED, f"{url} names a token_endpoint that is no URL") from None
        cluster = authority.removeprefix("cluster://").partition("/")[0]
        return _Endpoint(f"cluster://{cluster}{activities.target_of(parts)}", str(metadata.get("issuer", found)))
    issuer = metadata.get("issuer")
    if issuer not in (authority, f"{authority}/", *_list(properties, "issuers")):
        raise Unsent(401, REFUSED, f"{url} is the metadata of another issuer")
    return _Endpoint(found, str(issuer))


def _grant(properties: Mapping[str, Json]) -> list[tuple[str, str]]:
    grant = properties["grant"]
    pairs = [("grant_type", grant)]
    if grant == "password":
        pairs += [(name, _text(properties, name)) for name in ("username", "password")]
    elif grant == "refresh_token":
        pairs.append(("refresh_token", _text(properties["subject"], "token")))
    elif grant == "authorization_code":
        pairs.append(("code", _text(properties["subject"], "token")))
    elif grant == EXCHANGE:
        for role in ("subject", "actor"):
            if role in properties:
                token = properties[role]
                pairs += [(f"{role}_token", _text(token, "token")), (f"{role}_token_type", _text(token, "type"))]
    scopes = _list(properties, "scopes")
    if scopes:
        pairs.append(("scope", " ".join(scopes)))
    return pairs + [("audience", audience) for audience in _list(properties, "audiences")]


async def _request(
    endpoint: _Endpoint, properties: Mapping[str, Json], pairs: list[tuple[str, str]], around: Surroundings
) -> Token:
    headers = [("accept", "application/json")]
    own, authorization = _client(_map(properties, "client"), endpoint.audience)
    pairs = [*pairs, *own]
    if authorization is not None:
        headers.append(("authorization", authorization))
    encoding = _map(properties, "request").get("encoding", activities.FORM)
    if encoding not in ENCODINGS:
        raise Unsent(401, REFUSED, "request.encoding is none that is known")
    headers.append(("content-type", encoding))
    if encoding == activities.FORM:
        body = urlencode(pairs).encode()
    else:
        audiences = [value for name, value in pairs if name == "audience"]
        whole: dict[str, Json] = dict(pairs)
        if len(audiences) > 1:
            whole["audience"] = audiences
        body = json.dumps(whole).encode()
    answer = await _json(endpoint.url, "POST", headers, body, around)
    text = answer.get("access_token")
    if not isinstance(text, str):
        raise Unsent(503, REFUSED, f"{_place(endpoint.url)} answered without an access_token")
    kind = str(answer.get("token_type", "Bearer")).lower()
    if kind not in ("bearer", "n_a"):
        raise Unsent(503, REFUSED, f"{_place(endpoint.url)} gives tokens of another type than Bearer")
    _check_issuer(text, _list(properties, "issuers"))
    lifetime = _seconds(answer.get("expires_in"))
    refresh = answer.get("refresh_token")
    early = max(lifetime * 0.9, lifetime - EARLY_S)
    return Token(bearer(text), asyncio.get_running_loop().time() + early, refresh if isinstance(refresh, str) else None)


def _client(client: Mapping[str, Json], audience: str) -> tuple[list[tuple[str, str]], str | None]:
    """What goes into the form, and the ``Authorization`` (RFC 6749 §2.3, RFC 7523 §2.2)."""
    if not client:
        return [], None
    way, name = client.get("authentication", "client_secret_post"), _text(client, "id")
    if way == "client_secret_basic":
        return [], basic_form(name, _text(client, "secret"))
    if way == "client_secret_post":
        return [("client_id", name), ("client_secret", _text(client, "secret"))], None
    if way == "none":
        return [("client_id", name)], None
    if "assertion" in client:
        assertion = _text(client, "assertion")
    elif way == "client_secret_jwt":
        assertion = _signed(name, _text(client, "secret"), audience)
    else:
        try:
            assertion = _core.client_assertion(_text(client, "secret"), name, audience)
        except ValueError as error:
            raise Unsent(401, REFUSED, f"client.secret: {error}") from None
    return [("client_id", name), ("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)], None


def basic_form(name: str, secret: str) -> str:
    """RFC 6749 §2.3.1: name and secret as in a form."""
    return basic(quote(name, safe="-._~"), quote(secret, safe="-._~"))


def _signed(name: str, secret: str, audience: str) -> str:
    """HS256 (RFC 7518 §3.2)."""
    now = int(time.time())
    claims: dict[str, Json] = {"iss": name, "sub": name, "aud": audience, "jti": os.urandom(16).hex()}
    claims |= {"iat": now, "exp": now + ASSERTION_S}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{_base64url(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _check_issuer(token: str, issuers: list[Json]) -> None:
    """Of a token that is a JWT; of others nothing can be said."""
    if not issuers or token.count(".") != 2:
        return
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    except (ValueError, RecursionError):
        return
    if isinstance(claims, dict) and "iss" in claims and claims["iss"] not in issuers:
        raise Unsent(401, REFUSED, "the token is of none of the issuers that are valid")


def _seconds(value: Json) -> float:
    """Also as text of digits, as some authorities have it."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**9
    return float(value) if usable else LIFETIME_S


async def _json(
    url: str, method: str, headers: list[tuple[str, str]], body: bytes | None, around: Surroundings
) -> dict[str, Json]:
    """The object that an authority answers. Its errors are told by their codes alone."""
    where = activities.place(url, around.reach)
    if isinstance(where, activities.Refused):
        raise Unsent(502, REFUSED, f"{_place(url)}: {where.detail}")
    cluster, target = where
    notice = await around.send((0, cluster, method, target, headers, body, TIMEOUT_MS, None))
    if isinstance(notice, _core.Unanswered):
        raise Unsent(notice.status, REFUSED, f"{_place(url)}: {notice.detail}")
    try:
        answer = json.loads(notice.body)
    except (ValueError, RecursionError):
        answer = None
    if notice.status != 200:
        code = answer.get("error") if isinstance(answer, dict) else None
        said = f": {code[:64]}" if isinstance(code, str) and code.isprintable() else ""
        status = 401 if 400 <= notice.status < 500 and notice.status != 429 else 503
        raise Unsent(status, REFUSED, f"{_place(url)} answered {notice.status}{said}")
    if not isinstance(answer, dict):
        raise Unsent(503, REFUSED, f"{_place(url)} did not answer with a JSON object")
    return answer


def _place(url: str) -> str:
    return url.partition("?")[0]


def _map(properties: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = properties.get(name, {})
    if not isinstance(value, Mapping):
        raise Unsent(401, REFUSED, f"{name} is not an object")
    return value


def _list(properties: Mapping[str, Json], name: str) -> list[str]:
    value = properties.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Unsent(401, REFUSED, f"{name} is not a list of text")
    return value


def _text(properties: Mapping[str, Json], name: str) -> str:
    value = properties.get(name) if isinstance(properties, Mapping) else None
    if not isinstance(value, str):
        raise Unsent(401, REFUSED, f"{name} is {'missing' if value is None else 'not text'}")
    return value
