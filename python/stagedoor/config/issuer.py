"""Who issues tokens."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.config.address import PORTS, HttpUrl, is_host
from stagedoor.policies.model import Name, Strict, duration, wrong
from stagedoor.policies.unit import Duration

Json = dict[str, Any]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]


def _split(url: str) -> SplitResult:
    """ValueError: it is not the absolute URL of something on the web."""
    parts = urlsplit(url)
    visible = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc or parts.fragment or not visible:
        raise ValueError("it is not https://HOST/PATH")
    if parts.port == 0 or (":" not in parts.hostname and not is_host(parts.hostname)):
        raise ValueError("its host or port cannot be called")
    return parts


def _absolute(value: str) -> str:
    try:
        _split(value)
    except ValueError:
        raise wrong("expected https://HOST/PATH") from None
    return value


Url = Annotated[str, Field(max_length=2000), AfterValidator(_absolute)]


def _place(value: str) -> str:
    return _absolute(f"https://host{value}").removeprefix("https://host") if value.startswith("/") else _absolute(value)


Place = Annotated[str, Field(max_length=2000), AfterValidator(_place)]
"""An URL, or a path on the server of ``issuer``."""


class IssuerEndpoints(Strict):
    """Where an issuer's services are (RFC 8414); each is in place of what its metadata says."""

    authorization: Url | None = None
    """Where browsers log in."""
    token: Place | None = None
    """Where codes and credentials become tokens; a path is one on the server of ``issuer``."""
    introspection: Place | None = None
    """Where it is asked about tokens (RFC 7662); also a path."""
    userinfo: Place | None = None
    """Where it says more about a subject; also a path."""
    end_session: Url | None = None
    """Where browsers log out. Left out: a logout is ours alone."""

    def urls(self, issuer: str) -> dict[str, str]:
        """By their names, each as a whole."""
        server = f"{_split(issuer).scheme}://{_split(issuer).netloc}" if "://" in issuer else ""
        given = self.model_dump(exclude_none=True)
        return {name: server + url if url.startswith("/") else url for name, url in given.items()}


class Issuer(Strict):
    """An issuer of tokens, with the keys that verify them."""

    issuer: Annotated[str, Field(min_length=1, max_length=1000)]
    """``iss`` of its tokens, exactly as they say it."""
    algorithms: Annotated[list[Algorithm], Field(max_length=13)] = []
    """The algorithms that it signs with; a token with another is refused, whatever its key. Required with any keys."""
    jwks: Annotated[str, Field(max_length=262_144)] | None = None
    """Its public keys as a JWK set (RFC 7517), as text: ``${file:keys.json}``."""
    public_keys: Annotated[list[Annotated[str, Field(max_length=65_536)]], Field(max_length=32)] = []
    """Its public keys in PEM, each one key: ``${file:issuer.pem}``."""
    secret: SecretStr | None = None
    """The secret that it shares with us, for HS256, HS384 and HS512: at least as many bytes as the hash has."""
    discovery: Literal["openid", "oauth"] | None = None
    """Fetches its metadata, and its keys from where that says: by OpenID Connect Discovery, or by RFC 8414."""
    jwks_url: Url | None = None
    """Fetches its keys from there."""
    refresh: Duration = duration("5m", least="10s", most="1d")
    """How often what is fetched is fetched anew."""
    origins: Annotated[list[HttpUrl], Field(max_length=16)] = []
    """Other servers than the one of ``issuer`` whose keys and services are its own."""
    cluster: Name | None = None
    """Through which it is called. Left out: each server at its own address, with the system's authorities."""
    endpoints: IssuerEndpoints = IssuerEndpoints()
    """Where its services are, for those that the metadata does not say."""

    def has_keys(self) -> bool:
        """Without any that are fetched."""
        return self.secret is not None or self.jwks is not None or bool(self.public_keys)

    @model_validator(mode="after")
    def _places(self) -> Self:
        try:
            if self.discovery is not None:
                _split(self.issuer)
            for url in (metadata_url(self), self.jwks_url):
                if url is not None:
                    issuer_endpoint(self, url)
            _fixed(self)
        except ValueError as error:
            raise wrong(str(error)) from None
        return self

    @model_validator(mode="after")
    def _keys_of_one_kind(self) -> Self:
        somewhere = self.has_keys() or self.discovery is not None or self.jwks_url is not None
        if not somewhere and self.endpoints == IssuerEndpoints():
            raise wrong(
                "it needs 'discovery', 'jwks_url', 'jwks', 'public_keys' or 'secret': "
                "without a key no token can be verified"
            )
        if somewhere and not self.algorithms:
            raise wrong("it needs 'algorithms': those that its tokens may be signed with")
        shared = [name for name in self.algorithms if name.startswith("HS")]
        if shared and len(shared) != len(self.algorithms):
            raise wrong(
                "algorithms with a shared secret and with public keys do not go together",
                "make two issuers of it: whoever may take a public key for a secret can forge tokens",
            )
        if bool(shared) != (self.secret is not None):
            raise wrong("'secret' is for HS256, HS384 and HS512, and they need it")
        if shared and (self.jwks is not None or self.public_keys or self.jwks_url is not None):
            raise wrong("an issuer with a 'secret' has no public keys")
        return self


def metadata_url(issuer: Issuer) -> str | None:
    """OpenID Connect Discovery 1.0 §4, RFC 8414 §3.1."""
    if issuer.discovery is None:
        return None
    if issuer.discovery == "openid":
        return issuer.issuer.rstrip("/") + "/.well-known/openid-configuration"
    parts = _split(issuer.issuer)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}"


def source(issuer: Issuer) -> str | None:
    """What makes keys that were fetched an issuer's: another source is another issuer."""
    parts = (issuer.issuer, metadata_url(issuer), issuer.jwks_url, issuer.cluster)
    return None if parts[1] is None and parts[2] is None else " ".join(str(part) for part in parts)


def _origin(parts: SplitResult) -> str:
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def issuer_endpoint(issuer: Issuer, url: str, *, browser: bool = False) -> Json:
    """Where the URL is and how it is called, for the snapshot. ValueError: it is no place of this issuer."""
    parts = _split(url)
    origin = _origin(parts)
    if parts.scheme == "http" and issuer.cluster is None and not _is_loopback(parts.hostname or ""):
        raise ValueError(f"{url} is not encrypted: whoever listens could put in other keys")
    if not browser:
        own = [_origin(_split(issuer.issuer))] if "://" in issuer.issuer else []
        if origin not in [*own, *issuer.origins, *_said(issuer)]:
            raise ValueError(f"{origin} is not a server of the issuer's: name it in its 'origins'")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    cluster = None if browser else issuer.cluster or origin
    return {"url": url, "authority": parts.netloc, "path": path, "cluster": cluster}


def _said(issuer: Issuer) -> list[str]:
    """Servers of URLs that the configuration itself names."""
    urls = [issuer.jwks_url, *issuer.endpoints.urls(issuer.issuer).values()]
    return [_origin(_split(url)) for url in urls if url is not None]


def _fixed(issuer: Issuer) -> Json:
    urls = issuer.endpoints.urls(issuer.issuer)
    browser = ("authorization", "end_session")
    return {name: issuer_endpoint(issuer, url, browser=name in browser) for name, url in urls.items()}


def issuer_clusters(issuer: Issuer) -> list[str]:
    """Servers that are called at their own address, as endpoints of clusters of the same name."""
    called = source(issuer) is not None or any(each["cluster"] for each in _fixed(issuer).values())
    if issuer.cluster is not None or not called:
        return []
    own = [_origin(_split(issuer.issuer))] if "://" in issuer.issuer else []
    return sorted({*own, *issuer.origins, *_said(issuer)})


def compile_issuer(issuer: Issuer) -> Json:
    """Its part of the snapshot."""
    fetched, endpoints = source(issuer), _fixed(issuer)
    return {
        "issuer": issuer.issuer,
        "algorithms": list(issuer.algorithms),
        "jwks": issuer.jwks,
        "public_keys": list(issuer.public_keys),
        "secret": None if issuer.secret is None else issuer.secret.get_secret_value(),
        **({"source": fetched} if fetched is not None else {}),
        **({"endpoints": endpoints} if endpoints else {}),
    }
