"""Clients speak JSON, the service SOAP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from stagedoor.policies.model import Strict, size, wrong
from stagedoor.policies.transform import Body
from stagedoor.policies.unit import Size
from stagedoor.policies.validate import File

XmlText = Annotated[str, Field(min_length=1, max_length=1000)]


def _fault_status(value: int) -> int:
    if not 400 <= value <= 599:
        raise wrong("expected a status from 400 to 599")
    return value


class UsernameToken(Strict):
    """A block of WS-Security that says who asks."""

    username: XmlText
    """Its ``Username``."""
    password: Annotated[SecretStr, Field(min_length=1, max_length=1000)]
    """Its ``Password``."""
    digest: bool = False
    """Whether the password is sent as a digest, with a nonce and the time, rather than as text."""


class Soap(Strict):
    """Clients speak JSON, the service SOAP 1.1 or 1.2: one operation of its WSDL."""

    wsdl: File
    """A WSDL 1.1, relative to the configuration's folder, and within it; so are the files that it imports."""
    operation: XmlText | None = None
    """The operation. Left out: the only one that there is."""
    service: XmlText | None = None
    """Its service, where the WSDL has several."""
    port: XmlText | None = None
    """Its port. Left out: one that is bound to SOAP, 1.2 before 1.1."""
    version: Literal["1.1", "1.2"] | None = None
    """The version of SOAP, where the service has ports for both."""
    input: Body | None = None
    """``${ jq }`` over the request: the operation's input. Left out: the JSON of the request's content, with parameters
    of the path, or of the query where there is no content."""
    headers: Annotated[list[Annotated[SecretStr, Field(min_length=1, max_length=8192)]], Field(max_length=20)] = []
    """Blocks of the envelope's header: XML, each one element."""
    username_token: UsernameToken | None = None
    """Another block: WS-Security's ``UsernameToken``."""
    faults: Annotated[dict[XmlText, Annotated[int, AfterValidator(_fault_status)]], Field(max_length=100)] = {}
    """Status by a fault's code, subcode or first element of its detail. Left out: 400 for ``Client`` and ``Sender``,
    else 502."""
    max_size: Size = size("1MiB", least="1B", most="16MiB")
    """One message, either way, as JSON and as XML."""


def compile_soap(policy: Soap, folder: Path) -> dict[str, Any]:
    """Its part of the snapshot, but for what the WSDL says."""
    token = policy.username_token
    return {
        "input": policy.input,
        "headers": [block.get_secret_value() for block in policy.headers],
        "username_token": None
        if token is None
        else {"username": token.username, "password": token.password.get_secret_value(), "digest": token.digest},
        "faults": dict(policy.faults),
        "message_bytes": int(policy.max_size),
    }
