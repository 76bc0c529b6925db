"""The services of the public internet that portable scenarios call: their hosts are redirected, by the data plane, to
one server here. Calls are made by the engine's own conversations, over real sockets; only the clock is virtual."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stagedoor import _core, config
from stagedoor.engine import activities
from stagedoor.engine.conversation import Conversation, Notice, Outcome, Surroundings
from stagedoor.engine.reach import Reach
from stagedoor.notices import Notices
from stagedoor.workflow.commands import Call
from stagedoor.workflow.manner import Manner

Json = Any
HOSTS = ("https://stub.example", "https://idp.example", "https://petstore.swagger.io", "https://httpbin.org")
CONFIG = """
listeners: {door: {bind: '127.0.0.1:0'}}
routes: {none: {match: {path: /}, target: {response: {status: 404}}}}
clusters: {stand-in: {endpoints: ['http://127.0.0.1:PORT']}}
"""


@dataclass
class Scene:
    """What is answered in one scenario, and what was asked."""

    answers: dict[str, list[Json]]
    """By ``METHOD https://host/path?query``, one after the other; the last one repeats."""
    requests: list[dict[str, Json]] = field(default_factory=list)
    after: float = 0.0
    """Seconds that the answers to the call of the moment take."""

    def answer(self, request: dict[str, Json]) -> Json:
        what = request["request"]
        number = sum(1 for each in self.requests if each["request"] == what)
        self.requests.append(request)
        scripted = self.answers.get(what, [{}])
        answer = scripted[min(number, len(scripted) - 1)]
        self.after += answer.get("after", 0.01)
        return answer


class StandIn:
    def __init__(self) -> None:
        self._scene = Scene({})
        self._plane = _core.DataPlane()
        self._waiting: dict[int, asyncio.Future[Notice]] = {}
        self._loop = asyncio.new_event_loop()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._plane.start(self._snapshot())
        notices = Notices(self._plane)
        notices.handle({_core.Answered: self._done, _core.Unanswered: self._done})
        self._loop.call_soon(notices.begin)

    def _snapshot(self) -> str:
        with TemporaryDirectory() as folder:
            file = Path(folder, "stagedoor.yaml")
            file.write_text(CONFIG.replace("PORT", str(self._server.server_address[1])))
            snapshot = config.compile(config.load(file))
        [cluster] = snapshot["clusters"].values()
        snapshot["clusters"] = {f"{host}:443": cluster for host in HOSTS}
        return json.dumps(snapshot)

    def call(self, call: Call, scene: Scene, secrets: dict[str, Json]) -> tuple[Any, float]:
        """The event that the engine would append, and after how many seconds."""
        self._scene, scene.after = scene, 0.0
        event, _ = self._loop.run_until_complete(self._talk(call, secrets))
        return event, scene.after

    def _talk(self, call: Call, secrets: dict[str, Json]) -> Coroutine[None, None, Outcome]:
        reach = Reach(frozenset(f"{host}:443" for host in HOSTS), secrets=secrets)
        around = Surroundings(self._send, lambda: 0.0, reach)
        whole = replace(call, manner=call.manner or Manner())
        return Conversation(whole, around, frozenset(secrets), None, None).run()

    async def _send(self, request: activities.Request) -> Notice:
        number = len(self._waiting) + 1
        answer = self._waiting[number] = self._loop.create_future()
        # Its host goes with it, for the one server that stands for all.
        headers = [*request[4], ("x-stand-in", request[1].removesuffix(":443"))]
        self._plane.call([(number, *request[1:4], headers, *request[5:])])
        return await answer

    def _done(self, notice: Notice) -> None:
        self._waiting[notice.call].set_result(notice)

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        text = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body: Json = None
        if text:
            is_json = "json" in headers.get("content-type", "")
            body = json.loads(text) if is_json else text.decode()
        what = f"{handler.command} {headers.pop('x-stand-in')}{handler.path}"
        answer = self._scene.answer({"request": what, "headers": headers, "body": body})
        content = answer.get("content", {})
        named = {"content-type": "application/json", **answer.get("headers", {})}
        payload = (json.dumps(content) if named["content-type"] == "application/json" else str(content)).encode()
        handler.send_response_only(answer.get("status", 200))
        if content is None:
            payload = b""
            del named["content-type"]
        for name, value in named.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(payload)))
        handler.end_headers()
        handler.wfile.write(payload)


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # One write, or the other side waits for a second one.

        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            stand_in.respond(self)

        do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    return Handler


@cache
def stand_in() -> StandIn:
    """One for all scenarios of the process."""
    return StandIn()
