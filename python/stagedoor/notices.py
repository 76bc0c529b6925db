"""What the data plane has to say, handed to those who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from stagedoor import _core


class Notices:
    """One reader of the data plane's queue in the loop's thread. Handlers are plain callbacks by the notice's type;
    each passes over what is not its own."""

    def __init__(self, plane: _core.DataPlane) -> None:
        self._plane = plane
        self._handlers: dict[type, tuple[Callable[[Any], None], ...]] = {}
        self._after: list[Callable[[], None]] = []
        self._reading: int | None = None

    def handle(self, handlers: Mapping[type, Callable[[Any], None]], after: Callable[[], None] | None = None) -> None:
        """``after`` is called once a turn, for what its notices want to be handed over in bulk."""
        for kind, handler in handlers.items():
            self._handlers[kind] = (*self._handlers.get(kind, ()), handler)
        if after is not None:
            self._after.append(after)

    def begin(self) -> None:
        """Once the data plane serves. Again: nothing but a look at what waits."""
        if self._reading is None:
            self._reading = self._plane.fileno()
            asyncio.get_running_loop().add_reader(self._reading, self.take)
        self.take()

    def stop(self) -> None:
        """What comes now stays in the queue."""
        if self._reading is not None:
            asyncio.get_running_loop().remove_reader(self._reading)
            self._reading = None

    def take(self) -> None:
        """Hand over all that waits."""
        for notice in self._plane.take():
            for handler in self._handlers.get(type(notice), ()):
                handler(notice)
        for after in self._after:
            after()
