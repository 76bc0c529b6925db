"""A name and a password with every request (RFC 7617)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from stagedoor.policies.model import Strict, wrong

Json = dict[str, Any]


def _realm(value: str) -> str:
    if not re.fullmatch(r"[ !#-\[\]-~]{1,100}", value):
        raise wrong("expected 1 to 100 characters of printable ASCII without quotes and backslashes")
    return value


class Basic(Strict):
    """A name and a password (RFC 7617)."""

    realm: Annotated[str, AfterValidator(_realm)] = "stagedoor"
    """What browsers tell their users that the password is for."""


def compile_basic(settings: Basic) -> Json:
    """Its part of the snapshot."""
    return {"realm": settings.realm}
