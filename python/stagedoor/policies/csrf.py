"""Requests that other sites' pages forge in a user's name."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stagedoor.policies.cors import Origin
from stagedoor.policies.model import Strict, wrong


class Csrf(Strict):
    """Requests that change something are taken from the site's own pages only."""

    origins: Annotated[list[Origin], Field(max_length=1000)] = []
    """Other origins whose pages may ask, exactly as browsers send them. ``*`` is refused."""
    unknown: Literal["refuse", "pass"] = "refuse"
    """A request with cookies that does not say from where it comes: no browser of the last years, or a proxy that
    takes the headers away. Without cookies it always passes."""

    @model_validator(mode="after")
    def _named_origins(self) -> Self:
        if "*" in self.origins:
            raise wrong("with the origin '*' every site may ask", "name the origins, or leave the policy out")
        return self


def compile_csrf(policy: Csrf) -> dict[str, Any]:
    """Its part of the snapshot."""
    return {"origins": list(policy.origins), "unknown": policy.unknown == "pass"}
