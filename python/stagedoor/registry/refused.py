"""A change that cannot be made."""

from __future__ import annotations

from stagedoor.errors import StagedoorError


class Refused(StagedoorError):
    """Says why; ``status`` is that of HTTP."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
