"""Who calls."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from stagedoor.policies.model import Name, Strict, wrong

_KEY = re.compile(r"[!-~]{8,256}")


def _key(value: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(value.get_secret_value()):
        raise wrong("an API key is 8 to 256 characters of visible ASCII without spaces")
    return value


class Consumer(Strict):
    """A caller that is known by its credentials."""

    api_keys: Annotated[list[Annotated[SecretStr, AfterValidator(_key)]], Field(max_length=100)] = []
    """Keys, of which any is enough, so that they can be rotated. Only their SHA-256 leaves this process's
    configuration. Give them as ``${env:NAME}`` or ``${file:path}``."""
    groups: Annotated[list[Name], Field(max_length=100)] = []
    """Groups to which the consumer belongs; expressions see them."""
