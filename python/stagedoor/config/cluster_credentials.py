"""By what the gateway proves itself to the endpoints of a cluster."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.config.signature_key import SignatureAlgorithm
from stagedoor.config.token_client import ClientCredentials, TokenExchange, compile_client
from stagedoor.policies.authenticate.signature import DERIVED
from stagedoor.policies.authenticate.webhook import WebhookSecret
from stagedoor.policies.model import HeaderName, OneSpelling, Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size

Json = dict[str, Any]

_RESERVED = {
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "via",
}
_OWN = ("x-consumer-", "x-stagedoor-", "x-forwarded-", "client-cert")
_DIGESTS = ("content-digest", "repr-digest")


def _name(value: str) -> str:
    plain = value.replace("_", "-")
    if plain in _RESERVED or plain.startswith(_OWN):
        raise wrong(f"the header '{value}' frames, routes or vouches for requests, and cannot be a credential")
    return value


def _value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or text != text.strip() or not text:
        raise wrong("a credential is visible ASCII, without spaces around it")
    return value


def _user(value: str) -> str:
    if ":" in value or not value.isprintable():
        raise wrong("a user's name holds no colon and no control character")
    return value


def _component(value: str) -> str:
    if value in _DIGESTS or value in ("signature", "signature-input"):
        raise wrong(f"'{value}' is set by the signature itself", "'digest' says whether and how content is signed")
    if value not in DERIVED and (value != value.lower() or not value.replace("-", "").replace("_", "").isalnum()):
        raise wrong(f"expected the name of a header in lower case, or one of {', '.join(DERIVED)}")
    return value


class BasicCredentials(Strict):
    """A name and a password (RFC 7617)."""

    username: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_user)]
    """The name."""
    password: SecretStr
    """The password: ``${env:NAME}`` or ``${file:path}``."""


class SignatureCredentials(Strict):
    """Requests are signed (RFC 9421)."""

    key_id: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[ -~]+$")]
    """``keyid`` of the signatures."""
    algorithm: SignatureAlgorithm
    """What is signed with (RFC 9421 section 3.3)."""
    private_key: SecretStr | None = None
    """In PEM, or as a JWK: ``${file:gateway.pem}``."""
    secret: SecretStr | None = None
    """For ``hmac-sha256``: at least 32 bytes, in base64."""
    components: Annotated[list[Annotated[str, AfterValidator(_component)]], Field(min_length=1, max_length=32)] = [
        "@method",
        "@target-uri",
    ]
    """What is signed of each request, beside the digest of its content; headers where they are there."""
    digest: Literal["sha-256", "sha-512", "off"] = "sha-256"
    """``Content-Digest`` of the content (RFC 9530), for which it is read into memory. ``off``: content streams and is
    not signed."""
    max_size: Size = size("1MiB", least="1B", most="64MiB")
    """The longest content of which a digest is made."""
    larger: Literal["refuse", "undigested"] = "refuse"
    """What becomes of longer content: 413, or it streams and is not signed."""
    expires: Duration | None = duration(None, least="1s", most="1h", optional=True)
    """How long a signature says that it is good. Left out: that is for those who verify it to say."""
    nonce: bool = True
    """A nonce, so that each signature is taken once."""
    tag: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")] | None = None
    """What the signatures are for, by agreement with those who verify them."""

    @model_validator(mode="after")
    def _key_of_the_algorithm(self) -> Self:
        shared = self.algorithm == "hmac-sha256"
        if (self.secret is not None) != shared or (self.private_key is not None) == shared:
            raise wrong("hmac-sha256 needs a 'secret', and every other algorithm a 'private_key'; none has both")
        return self


class WebhookCredentials(Strict):
    """Requests are signed as Standard Webhooks has it."""

    secrets: Annotated[list[WebhookSecret], Field(min_length=1, max_length=4)]
    """``whsec_…``: what is shared with the receiver; while it is rotated, the new one and the old one. Each signs."""
    max_size: Size = size("1MiB", least="1B", most="64MiB")
    """The longest content, which is read into memory to be signed; a longer one is 413."""


class Credentials(Strict):
    """By what the gateway proves itself to the endpoints: one of these."""

    headers: (
        Annotated[
            dict[Annotated[HeaderName, AfterValidator(_name)], Annotated[SecretStr, AfterValidator(_value)]],
            Field(min_length=1, max_length=16),
            OneSpelling,
        ]
        | None
    ) = None
    """Headers that are the same on every request: ``{authorization: "Bearer ${env:TOKEN}"}``."""
    basic: BasicCredentials | None = None
    """A name and a password."""
    client_credentials: ClientCredentials | None = None
    """A token that the gateway gets for itself."""
    token_exchange: TokenExchange | None = None
    """A token that the gateway gets for the caller's."""
    signature: SignatureCredentials | None = None
    """HTTP message signatures."""
    webhook: WebhookCredentials | None = None
    """Signatures of Standard Webhooks."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise wrong(f"'{given[0]}' and '{given[1]}' do not go together: a cluster has one kind of credentials")
        if not given:
            raise wrong(f"is empty; expected one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def token(self) -> ClientCredentials | None:
        """Where they are a token, how it is got."""
        return self.client_credentials or self.token_exchange


def compile_credentials(credentials: Credentials) -> Json:
    """Their part of the snapshot."""
    if credentials.headers is not None:
        return {"headers": {name: value.get_secret_value() for name, value in credentials.headers.items()}}
    if (basic := credentials.basic) is not None:
        return {"basic": {"username": basic.username, "password": basic.password.get_secret_value()}}
    if credentials.client_credentials is not None:
        return {"client_credentials": {"client": compile_client(credentials.client_credentials)}}
    if (exchange := credentials.token_exchange) is not None:
        return {
            "token_exchange": {
                "client": compile_client(exchange),
                "requested_token_type": exchange.requested_token_type,
                "actor": exchange.actor,
                "otherwise": exchange.otherwise,
            }
        }
    if credentials.signature is not None:
        return {"signature": _signature(credentials.signature)}
    webhook = credentials.webhook
    assert webhook is not None
    secrets = [secret.get_secret_value() for secret in webhook.secrets]
    return {"webhook": {"secrets": secrets, "max_bytes": int(webhook.max_size)}}


def _signature(settings: SignatureCredentials) -> Json:
    key, secret = settings.private_key, settings.secret
    return {
        "key_id": settings.key_id,
        "algorithm": settings.algorithm,
        "private_key": None if key is None else key.get_secret_value(),
        "secret": None if secret is None else secret.get_secret_value(),
        "components": list(settings.components),
        "digest": None if settings.digest == "off" else settings.digest,
        "max_bytes": int(settings.max_size),
        "larger_undigested": settings.larger == "undigested",
        "expires_s": None if settings.expires is None else int(settings.expires) // 1000,
        "nonce": settings.nonce,
        "tag": settings.tag,
    }
