"""The gateway as a client of a token endpoint: its own tokens (RFC 6749 §4.4), and those for callers' (RFC 8693)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.config.issuer import Issuer, Url, issuer_endpoint
from stagedoor.policies.model import Name, Scope, Strict, duration, wrong
from stagedoor.policies.unit import Duration

Json = dict[str, Any]
KeyAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


def _visible(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise wrong("expected visible characters, without spaces around them")
    return value


Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_visible)]


class ClientCredentials(Strict):
    """A token that the gateway gets for itself (RFC 6749 section 4.4)."""

    issuer: Name | None = None
    """Of ``issuers``: whose token endpoint is asked, as it is configured or as its metadata says."""
    token_url: Url | None = None
    """The token endpoint, in place of ``issuer``."""
    client_id: Text
    """What the gateway is there."""
    client_secret: SecretStr | None = None
    """Its secret: ``${env:NAME}`` or ``${file:path}``."""
    private_key: SecretStr | None = None
    """The key that signs its assertions, in PEM or as a JWK: ``${file:client.pem}``."""
    key_id: Text | None = None
    """``kid`` of its assertions. Left out: that of the JWK."""
    algorithm: KeyAlgorithm | None = None
    """What its assertions are signed with. Left out: the first that suits the key."""
    assertion_audience: Text | None = None
    """``aud`` of its assertions, for issuers that want another one. Left out: the token endpoint's URL."""
    client_authentication: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] | None = None
    """How it proves itself. Left out: ``private_key_jwt`` with a ``private_key``, else ``client_secret_basic``."""
    scopes: Annotated[list[Scope], Field(max_length=64)] = []
    """What is asked for."""
    audience: Annotated[list[Text], Field(max_length=16)] = []
    """Whom the token is for, where the issuer wants to be told so."""
    resource: Annotated[list[Url], Field(max_length=16)] = []
    """The same as URLs (RFC 8707)."""
    timeout: Duration = duration("10s", least="100ms", most="1m")
    """Of a request to the token endpoint."""

    @property
    def authentication(self) -> str:
        usual = "client_secret_basic" if self.private_key is None else "private_key_jwt"
        return self.client_authentication or usual

    @model_validator(mode="after")
    def _one_place_and_one_proof(self) -> Self:
        if (self.issuer is None) == (self.token_url is None):
            raise wrong("expected 'issuer' or 'token_url', one of them")
        if (self.client_secret is None) == (self.private_key is None):
            raise wrong("expected 'client_secret' or 'private_key', one of them")
        if (self.authentication == "private_key_jwt") != (self.private_key is not None):
            raise wrong("'private_key_jwt' is with a 'private_key', the others with a 'client_secret'")
        of_keys = ("key_id", "algorithm", "assertion_audience")
        if self.private_key is None and (given := [name for name in of_keys if getattr(self, name) is not None]):
            raise wrong(f"'{given[0]}' is for assertions, which a 'private_key' signs")
        if self.token_url is not None:
            try:
                issuer_endpoint(_own(self.token_url), self.token_url)
            except ValueError:
                raise wrong("'token_url' is not encrypted: whoever listens gets the tokens") from None
        return self


class TokenExchange(ClientCredentials):
    """A token that the gateway gets for the caller's (RFC 8693)."""

    requested_token_type: Text | None = None
    """What kind of token is asked for, for example ``urn:ietf:params:oauth:token-type:jwt``."""
    actor: bool = False
    """Say who acts for the caller: with a token that the gateway gets for itself."""
    otherwise: Literal["refuse", "client_credentials"] = "refuse"
    """What becomes of callers without a token: they are refused, or the gateway's own is used."""


def _own(url: str) -> Issuer:
    """An issuer of which nothing is known but where it is."""
    return Issuer.model_construct(issuer=url, algorithms=[], origins=[], cluster=None, jwks_url=None)


def token_clusters(settings: ClientCredentials) -> list[str]:
    """The server of a ``token_url``, as the endpoint of a cluster of the same name."""
    if settings.token_url is None:
        return []
    return [issuer_endpoint(_own(settings.token_url), settings.token_url)["cluster"]]


def compile_client(settings: ClientCredentials) -> Json:
    """Its part of the snapshot."""

    def revealed(secret: SecretStr | None) -> str | None:
        return None if secret is None else secret.get_secret_value()

    url = settings.token_url
    return {
        "issuer": settings.issuer,
        "token_endpoint": None if url is None else issuer_endpoint(_own(url), url),
        "client_id": settings.client_id,
        "client_authentication": settings.authentication,
        "client_secret": revealed(settings.client_secret),
        "private_key": revealed(settings.private_key),
        "key_id": settings.key_id,
        "algorithm": settings.algorithm,
        "assertion_audience": settings.assertion_audience,
        "scopes": list(settings.scopes),
        "audience": list(settings.audience),
        "resource": list(settings.resource),
        "timeout_ms": int(settings.timeout),
    }
