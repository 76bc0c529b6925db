"""Browsers told to come over HTTPS only, by RFC 6797."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from stagedoor.policies.model import Strict, duration, wrong
from stagedoor.policies.unit import Duration

_YEAR = Duration.parse("365d")


class Hsts(Strict):
    """Send ``Strict-Transport-Security`` on responses over HTTPS."""

    max_age: Duration = duration("365d", least="0s", most="1000d")
    """How long browsers remember it; whole seconds count, and ``0s`` makes them forget."""
    include_subdomains: bool = False
    """Whether it holds for all subdomains too."""
    preload: bool = False
    """Whether browsers may be shipped with it. Needs ``include_subdomains`` and a ``max_age`` of 365d or more."""

    @model_validator(mode="after")
    def _preload_with_what_the_lists_ask_for(self) -> Self:
        if self.preload and not (self.include_subdomains and self.max_age >= _YEAR):
            raise wrong(
                "'preload: true' needs 'include_subdomains: true' and a 'max_age' of 365d or more",
                "the lists that browsers are shipped with ask for both",
            )
        return self
