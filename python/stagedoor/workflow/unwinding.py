"""Running undos: those of one scope, once it has failed or a task asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stagedoor.workflow.undo import UNDER_WAY, Undo


class Unwinding:
    """One after the other, the last completed task first, or all at once."""

    __slots__ = ("_current", "_done", "_over", "_parallel", "undos")

    def __init__(self, undos: Sequence[Undo], parallel: bool, done: Callable[[], None]) -> None:
        self.undos = tuple(undos)
        """In the order in which their tasks completed."""
        self._parallel = parallel
        self._done = done
        self._current = len(self.undos)
        """One after the other: the one that is undone now. All at once: how many are not settled."""
        self._over = False

    def begin(self) -> None:
        if self._parallel and self.undos:
            for undo in reversed(self.undos):
                undo.begin(self)
        else:
            self.next()

    def next(self) -> None:
        """An undo has settled."""
        if self._over:
            return
        self._current -= 1
        while not self._parallel and self._current >= 0 and self.undos[self._current].settled:
            # Somebody else has undone it meanwhile.
            self._current -= 1
        if self._parallel:
            if self._current <= 0:
                self._end()
        elif self._current >= 0:
            self.undos[self._current].begin(self)
        else:
            self._end()

    def stop(self) -> None:
        """An undo failed for good and the document says that this ends it all."""
        if not self._over:
            self._over = True
            for undo in self.undos:
                if undo.status in UNDER_WAY:
                    undo.stop()
            self._done()

    def _end(self) -> None:
        self._over = True
        self._done()
