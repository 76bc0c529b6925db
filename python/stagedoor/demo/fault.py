"""Ways to make a service fail, chosen by ``POST /faults`` or by what a request says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Json = Any
Kind = Literal["fail", "hang", "late", "drop"]
_KINDS = ("fail", "hang", "late", "drop")


@dataclass(slots=True)
class Fault:
    """``fail``: answer with ``status`` and do nothing. ``hang``: do nothing, never answer. ``late``: do it and answer
    after ``seconds``. ``drop``: do it and close the connection without an answer."""

    do: Kind
    method: str | None = None
    """Only requests with this method."""
    path: str = "/"
    """Only paths that begin so."""
    times: int | None = None
    """How many requests; None is every one."""
    status: int = 503
    seconds: float = 1.0


class Faults:
    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, value: Json) -> Fault:
        """Raises ``ValueError`` with a sentence."""
        if not isinstance(value, dict) or value.get("do") not in _KINDS:
            raise ValueError(f"expected an object whose 'do' is one of {', '.join(_KINDS)}")
        try:
            fault = Fault(**value)
        except TypeError:
            raise ValueError("known are 'do', 'method', 'path', 'times', 'status' and 'seconds'") from None
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The first fault that fits, used up once."""
        for fault in self._faults:
            if fault.method in (None, method) and path.startswith(fault.path) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def show(self) -> Json:
        return [asdict(fault) for fault in self._faults]
