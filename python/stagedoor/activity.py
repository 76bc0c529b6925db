"""Python functions as tasks of workflows: what their authors import.

    @activity(timeout=60)
    async def resize(picture: Picture, context: Context) -> Thumbnail: ...

A document calls it with ``call: activity`` and ``with: {name: resize, arguments: {...}}``.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints, overload

from pydantic import TypeAdapter

from stagedoor.errors import StagedoorError

P = ParamSpec("P")
R = TypeVar("R")
Json = Any
TIMEOUT_S = 30.0
LONGEST_S = 86_400.0


class ActivityFailed(StagedoorError):
    """Raised by a function: nothing was done, or what was done counts as failed. The task fails with this error, which
    ``try`` can catch by its status and type."""

    def __init__(self, detail: str, *, status: int = 500, title: str = "Activity failed", type: str | None = None):
        super().__init__(detail)
        self.detail, self.status, self.title, self.type = detail, status, title, type


@dataclass(slots=True)
class Context:
    """What a function may know about the call that runs it. A function that wants it has a parameter of this type."""

    execution: str
    task: str
    """The task's reference in the document."""
    idempotency_key: str
    """The same whenever this call is repeated: after a crash, and after a time-out."""
    compensates: str | None = None
    """The reference of the task that this call undoes."""
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _beat: float = field(default_factory=time.monotonic)

    def heartbeat(self) -> None:
        """It still works: an activity with a ``heartbeat`` says so at least that often."""
        self._beat = time.monotonic()

    @property
    def cancelled(self) -> bool:
        """Whether anybody still waits for it. Coroutines are cancelled; a function in a thread looks here."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def silent_s(self) -> float:
        """Seconds since the last heartbeat, or since the start."""
        return time.monotonic() - self._beat


@dataclass(frozen=True)
class Activity(Generic[P, R]):
    """A function with its name, types and times. Called, it is the function."""

    function: Callable[P, R]
    name: str
    timeout_s: float
    heartbeat_s: float | None
    """None: it need not say that it still works."""
    input: TypeAdapter[Any] | None
    """None: it takes no arguments of the document's."""
    input_name: str | None
    context_name: str | None
    output: TypeAdapter[Any]
    is_coroutine: bool

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


@overload
def activity(function: Callable[P, R], /) -> Activity[P, R]: ...
@overload
def activity(
    *, name: str | None = None, timeout: float = TIMEOUT_S, heartbeat: float | None = None
) -> Callable[[Callable[P, R]], Activity[P, R]]: ...
def activity(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    timeout: float = TIMEOUT_S,
    heartbeat: float | None = None,
) -> Any:
    """``name``: what documents call it, by default the function's. ``timeout`` and ``heartbeat`` are seconds.

    The function has at most one parameter beside one of type ``Context``; arguments are validated against its
    annotation, the result against that of the return, both as pydantic understands them. ``TypeError`` if it is
    otherwise, ``ValueError`` for times out of bounds.
    """
    if function is None:
        return lambda found: _activity(found, name, timeout, heartbeat)
    return _activity(function, name, timeout, heartbeat)


def _activity(function: Callable[P, R], name: str | None, timeout: float, heartbeat: float | None) -> Activity[P, R]:
    for what, value in (("timeout", timeout), ("heartbeat", heartbeat)):
        if value is not None and not 0 < value <= LONGEST_S:
            raise ValueError(f"{what} lies between 0 and {LONGEST_S:.0f} seconds")
    hints = get_type_hints(function)
    taken, context = None, None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"activity {function.__name__}: it cannot take *{parameter.name}")
        if hints.get(parameter.name) is Context:
            context = parameter.name
        elif taken is None:
            taken = parameter.name
        elif parameter.default is parameter.empty:
            raise TypeError(f"activity {function.__name__}: it takes one value beside the context; take an object")
    return Activity(
        function,
        name or function.__name__,
        timeout,
        heartbeat,
        None if taken is None else TypeAdapter(hints.get(taken, Any)),
        taken,
        context,
        TypeAdapter(hints.get("return", Any)),
        inspect.iscoroutinefunction(function),
    )
