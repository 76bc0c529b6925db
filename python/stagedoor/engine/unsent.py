"""Why a call is not sent."""

from __future__ import annotations

from stagedoor.errors import StagedoorError


class Unsent(StagedoorError):
    """Certainly nothing was done. 401 for want of a proof; the words show no secret."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.status, self.title, self.detail = status, title, detail
