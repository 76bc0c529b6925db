"""A service that does the work of a key once, refuses to make what was undone before, and can be held at either end of
its work."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

from service import Seen, Service

Json = Any
Step = tuple[str, str]
"""Method and name of a thing."""


class Things(Service):
    """``POST /things/NAME`` makes one, ``DELETE`` undoes it; anything else is as ``Service`` has it."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}
        """``live``, ``gone``, or ``void`` for what was undone before it was made."""
        self.work: list[Step] = []
        """What was done, each once for its key."""
        self.before: dict[Step, threading.Event] = {}
        """What waits before its work, and after it for its answer to be sent."""
        self.after: dict[Step, threading.Event] = {}
        self.refused: Counter[Step] = Counter()
        """How many of the next requests are answered 503."""
        self.lost: Counter[Step] = Counter()
        """Of how many of the next requests the connection breaks, before their work."""
        self.answered: dict[str, tuple[int, str, bytes]] = {}
        """By key."""
        self._mine = threading.local()
        self._working = threading.Lock()

    def remember(self, seen: Seen) -> int:
        self._mine.seen = seen
        return super().remember(seen)

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        seen: Seen = self._mine.seen
        if not path.startswith("/things/"):
            return super().decide(path, number)
        step = (seen.method, path.removeprefix("/things/"))
        for counter, answer in ((self.lost, 0), (self.refused, 503)):
            with self._working:
                counter[step] -= (hit := counter[step] > 0)
            if hit:
                return answer, "application/json", b"{}"
        _wait(self.before.get(step))
        with self._working:
            if seen.key not in self.answered:
                self.answered[seen.key] = self._do(*step)
        _wait(self.after.get(step))
        return self.answered[seen.key]

    def _do(self, method: str, name: str) -> tuple[int, str, bytes]:
        state = self.states.get(name)
        if method == "POST" and state is not None:
            return 409, "application/json", json.dumps({"title": f"{name} is {state}"}).encode()
        self.states[name] = "live" if method == "POST" else "gone" if state else "void"
        self.work.append((method, name))
        return 200, "application/json", json.dumps({"name": name}).encode()

    def keys(self, method: str, name: str) -> list[str]:
        return [seen.key for seen in self.to(f"/things/{name}") if seen.method == method]


def _wait(event: threading.Event | None) -> None:
    if event is not None:
        event.wait(60)


def thing(name: str, cluster: str = "patient", **metadata: Json) -> Json:
    """A task that makes it, undone by ``undo``."""
    undo = {"use": "undo", "with": {"name": name}, "retry": {"delay": "PT0S", "limit": {"attempt": {"count": 1}}}}
    return {
        "metadata": {"stagedoor/compensate": undo | metadata},
        "call": "http",
        "with": {"method": "post", "endpoint": f"cluster://{cluster}/things/{name}"},
    }


UNDO = {"undo": {"call": "http", "with": {"method": "delete", "endpoint": "cluster://patient/things/{name}"}}}
FAILS = {"raise": {"error": {"type": "https://example.com/no", "status": 422}}}


def config(port: int, workflows: list[str]) -> str:
    """``hasty`` waits half a second for an answer, ``patient`` as long as it takes."""
    endpoint = f'endpoints: ["http://127.0.0.1:{port}"], ejection: {{failures: 0}}'
    routes = "\n".join(
        f"  {name}: {{match: {{path: /{name}}}, target: {{workflow: test/{name}, wait: 30s}}}}" for name in workflows
    )
    return f"""
listeners: {{door: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
clusters:
  hasty: {{{endpoint}, timeouts: {{request: 500ms}}}}
  patient: {{{endpoint}}}
routes:
{routes}
workflows: ["*.workflow.yaml"]
"""
