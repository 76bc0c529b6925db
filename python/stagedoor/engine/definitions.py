"""Workflow definitions by name and by hash: new executions take the newest, running ones keep theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager

from stagedoor.engine.event_log import EventLog
from stagedoor.engine.record import encode_json
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.parse import restore, stored

MAX_EARLIER = 256
"""Compiled ones that are remembered beside the current ones; those that were not asked for the longest go first."""


class Definitions:
    """Documents stay in the store as long as an execution does that ran by them; they are compiled when they are asked
    for."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._current: dict[str, Definition] = {}
        self._kept: dict[str, Definition] = {}
        """By their hashes: the current ones, and those that are about to be."""
        self._earlier: OrderedDict[str, Definition] = OrderedDict()
        """By their hashes: of executions that began before."""
        self._leaving: set[str] = set()

    @property
    def known(self) -> Set[str]:
        """Hashes of those that may be run by at any time."""
        return self._kept.keys() | self._earlier.keys()

    @contextmanager
    def leaving(self, hashes: Iterable[str]) -> Iterator[set[str]]:
        """They are being removed from the store, one after the other as they are taken from what is yielded: nothing
        begins by them from now on, unless ``keep`` brings them again."""
        self._leaving |= set(hashes) - self.known
        try:
            yield self._leaving
        finally:
            self._leaving.clear()

    async def keep(self, definitions: Iterable[Definition]) -> None:
        """Put their documents into the store. StoreError if that cannot be."""
        definitions, known = list(definitions), self.known
        new = [each for each in definitions if each.hash not in known]
        if new:
            self._leaving.difference_update(each.hash for each in new)
            await self._log.define([(each.hash, each.key, each.version, encode_json(stored(each))) for each in new])
        self._kept |= {each.hash: each for each in definitions}

    def use(self, definitions: Mapping[str, Definition]) -> None:
        """From now on executions start by these, by ``namespace/name``; they must be kept already."""
        self._current = dict(definitions)
        current = {each.hash: each for each in definitions.values()}
        for hash, each in self._kept.items():
            if hash not in current:
                self._remember(hash, each)
        self._kept = current

    def current(self, workflow: str) -> Definition | None:
        return self._current.get(workflow)

    def version(self, workflow: str, version: str) -> Definition | None:
        """The current one, if that is its version or ``latest`` is asked for; else one of the store's."""
        current = self._current.get(workflow)
        if current is not None and version in ("latest", current.version):
            return current
        found = self._log.history.definition(workflow, version)
        return None if found is None or found in self._leaving else self.of(found)

    def of(self, hash: str) -> Definition:
        """KeyError if the store never had it, InvalidDefinition if this release cannot run it."""
        found = self._kept.get(hash) or self._earlier.get(hash)
        if found is None:
            found = restore(self._log.history.document(hash))
        if hash not in self._kept:
            self._remember(hash, found)
        return found

    def _remember(self, hash: str, definition: Definition) -> None:
        self._earlier[hash] = definition
        self._earlier.move_to_end(hash)
        if len(self._earlier) > MAX_EARLIER:
            self._earlier.popitem(last=False)
