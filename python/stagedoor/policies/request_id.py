"""An identity for every request, in the logs, towards the endpoint and in the response."""

from __future__ import annotations

from stagedoor.policies.model import HeaderName, Strict


class RequestId(Strict):
    """Every exchange carries an id that the access log, the endpoint and the client see alike."""

    header: HeaderName = "x-request-id"
    """The header that carries it, on the request and on the response."""
    accept: bool = True
    """Take over an id that the client sent, if it is 1–128 of ``A-Za-z0-9._-``; otherwise one is always made."""
