"""Definitions in memory: as many as are of use, however often documents change."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stagedoor.engine.definitions import MAX_EARLIER, Definitions
from stagedoor.engine.event_log import EventLog
from stagedoor.workflow.parse import parse

HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "flow"}


def test_earlier_versions_are_forgotten_in_the_end_and_read_again_when_they_are_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        definitions = Definitions(log)
        versions = [
            parse({"document": {**HEAD, "version": f"1.0.{number}"}, "do": [{"a": {"set": {"n": number}}}]})
            for number in range(MAX_EARLIER + 20)
        ]
        for each in versions:
            await definitions.keep([each])
            definitions.use({each.key: each})
        assert len(definitions.known) == MAX_EARLIER + 1
        assert definitions.current("test/flow") is versions[-1]
        first = versions[0]
        assert first.hash not in definitions.known
        assert definitions.version("test/flow", "1.0.0") == definitions.of(first.hash)
        assert definitions.of(first.hash).version == "1.0.0"
        assert len(definitions.known) == MAX_EARLIER + 1
        await definitions.keep([first])
        definitions.use({first.key: first})
        assert definitions.of(first.hash) is first
        await log.close()

    asyncio.run(main())
