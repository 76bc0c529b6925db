"""Messages signed with a shared secret (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from stagedoor.policies.model import Name, Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size

Json = dict[str, Any]


def _secret(value: SecretStr) -> SecretStr:
    try:
        length = len(base64.b64decode(value.get_secret_value().removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if not 24 <= length <= 64:
        raise wrong("expected whsec_ and 24 to 64 bytes in base64")
    return value


WebhookSecret = Annotated[SecretStr, AfterValidator(_secret)]


class Webhook(Strict):
    """A message that one of the secrets has signed."""

    consumer: Name
    """Whose messages they are: one of ``consumers``."""
    secrets: Annotated[list[WebhookSecret], Field(min_length=1, max_length=8)]
    """``whsec_…``: the sender's secret; while it is rotated, the old one and the new one. Give them as ``${env:NAME}``
    or ``${file:path}``."""
    tolerance: Duration = duration("5m", least="1s", most="1h")
    """How old a message may be, and how far into the future its time may lie."""
    max_size: Size = size("1MiB", least="1B", most="64MiB")
    """The longest body, which is read into memory to be verified; a longer one is 413."""


def compile_webhook(settings: Webhook) -> Json:
    """Its part of the snapshot."""
    return {
        "consumer": settings.consumer,
        "secrets": [secret.get_secret_value() for secret in settings.secrets],
        "tolerance_s": int(settings.tolerance) // 1000,
        "max_bytes": int(settings.max_size),
    }
