"""Which ids one execution has given, so that none is given twice and an answer to one that was never given is noticed.

What may run again with the same identity is remembered for good. Of the rounds of loops, which never do, only the last
ones are: a loop of any length takes no more memory than a short one.
"""

from __future__ import annotations

from typing import Protocol

REMEMBERED = 256
"""Identities of a kind that are remembered although they cannot come again."""


class Owner(Protocol):
    """Who needs an id."""

    @property
    def reference(self) -> str: ...
    @property
    def repeatable(self) -> bool: ...


class Sendings:
    """What the machine remembers of a call over all its runs, so that ids are fresh and keys stable."""

    __slots__ = ("count", "failed", "group", "reference")

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.count = 0
        self.group = 0
        self.failed = False
        """The last run ended with a definite failure: the next one is a new attempt, not a repetition."""


class Identifiers:
    __slots__ = ("_forgotten", "_numbers", "_once", "_sent_once", "sendings", "undoing")

    def __init__(self) -> None:
        self.sendings: dict[str, Sendings] = {}
        """By identity: of calls that may be repeated."""
        self.undoing: dict[str, Sendings] = {}
        """Of calls that undo others."""
        self._sent_once: dict[str, Sendings] = {}
        self._numbers: dict[str, int] = {}
        self._once: dict[str, tuple[int, str]] = {}
        """Prefix → the last number, and the task's reference."""
        self._forgotten: set[str] = set()
        """References of tasks of which some identities are not remembered any more."""

    def number(self, prefix: str, owner: Owner, least: int = 1) -> str:
        """An id that was not given before: ``PREFIX@NUMBER``. ``least`` is the number at least, for an owner that
        counts by itself."""
        if owner.repeatable:
            number = self._numbers[prefix] = self._numbers.get(prefix, 0) + 1
        else:
            number = max(least, self._once.get(prefix, (0, ""))[0] + 1)
            self._once[prefix] = (number, owner.reference)
        return f"{prefix}@{number}"

    def numbered(self, identifier: str) -> bool:
        """Whether the id was given once."""
        prefix, _, number = identifier.rpartition("@")
        if not number.isdecimal() or int(number) < 1:
            return False
        last = self._numbers.get(prefix) or self._once.get(prefix, (0, ""))[0]
        return int(number) <= last if last else self._was(prefix)

    def sending(self, identity: str, owner: Owner, *, undoes: bool) -> tuple[Sendings, bool]:
        """Of a call that begins, and whether it ran before."""
        if not owner.repeatable:
            sendings = self._sent_once[identity] = Sendings(owner.reference)
            return sendings, False
        known = self.undoing if undoes else self.sendings
        found = known.get(identity)
        if found is not None:
            return found, True
        sendings = known[identity] = Sendings(owner.reference)
        return sendings, False

    def sent(self, call: str) -> bool:
        """Whether a call with this id was once made."""
        identity, _, number = call.rpartition("#")
        if not number.isdecimal() or int(number) < 1:
            return False
        found = self.sendings.get(identity) or self.undoing.get(identity) or self._sent_once.get(identity)
        return int(number) <= found.count if found is not None else self._was(identity)

    def renew(self, reference: str, path: str, *, alone: bool) -> None:
        """What these calls did is undone: their next run is a new attempt with a key of its own. ``alone``: the task
        is itself the only call below it."""
        if alone:
            found = self.sendings.get(f"{reference}{path}")
            if found is not None:
                found.failed = True
            return
        for identity, sendings in self.sendings.items():
            below = identity.startswith(f"{reference}/") and path in identity
            if below or identity == f"{reference}{path}":
                sendings.failed = True

    def trim(self) -> None:
        """A round is over: forget what need not be remembered."""
        while len(self._once) > REMEMBERED:
            _, reference = self._once.pop(next(iter(self._once)))
            self._forgotten.add(reference)
        while len(self._sent_once) > REMEMBERED:
            self._forgotten.add(self._sent_once.pop(next(iter(self._sent_once))).reference)

    def _was(self, identity: str) -> bool:
        """Whether it may be one that is not remembered any more."""
        return any(
            identity.startswith(reference) and identity[len(reference) :][:1] in ("", "[", "~", "!")
            for reference in self._forgotten
        )
