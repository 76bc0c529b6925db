"""How the gateway shows an issuer that it is a client of it (RFC 6749 §2.3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from stagedoor.policies.model import Name, Strict, wrong

Json = dict[str, Any]


class Client(Strict):
    """What schemes that ask an issuer have in common."""

    issuer: Name
    """Whose client we are: a name of ``issuers``, with ``discovery`` or ``endpoints``."""
    client_id: Annotated[str, Field(min_length=1, max_length=1000)]
    """Our name there."""
    client_secret: SecretStr | None = None
    """Our secret there."""
    client_authentication: Literal["client_secret_basic", "client_secret_post", "none"] = "client_secret_basic"
    """How the secret is shown. ``none``: there is none."""

    @model_validator(mode="after")
    def _a_client_that_can_ask(self) -> Self:
        if (self.client_secret is None) != (self.client_authentication == "none"):
            raise wrong("expected 'client_secret', or 'client_authentication: none'")
        return self


def compile_client(client: Client) -> Json:
    """Its part of the snapshot."""
    secret = client.client_secret
    return {
        "issuer": client.issuer,
        "client_id": client.client_id,
        "client_secret": None if secret is None else secret.get_secret_value(),
        "client_authentication": client.client_authentication,
    }
