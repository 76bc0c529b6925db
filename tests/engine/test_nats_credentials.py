"""A NATS server that knows its clients by their keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from flow import config, write
from nats.aio.client import RawCredentials
from running import Gateway, until
from service import Service

nkeys = pytest.importorskip("nkeys")
SERVER = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
pytestmark = pytest.mark.skipif(SERVER is None, reason="nats-server is not here (make test-tools)")

Start = Callable[..., Gateway]
Json = Any
EMIT = [{"e": {"emit": {"event": {"with": {"type": "paid", "data": {"n": "${ .n }"}}}}}}]


class Key:
    def __init__(self, kind: int) -> None:
        self.seed = nkeys.encode_seed(secrets.token_bytes(32), kind).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public = self._pair.public_key.decode()

    def jwt(self, subject: Key, name: str, **said: Json) -> str:
        """What this key says of another, in the form of the server's own tools."""
        claims = {"iss": self.public, "sub": subject.public, "name": name, "iat": 1, "nats": {"version": 2, **said}}
        claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
        said_so = ".".join(
            _base64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)
        )
        return f"{said_so}.{_base64(self._pair.sign(said_so.encode()))}"


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@contextmanager
def server(folder: Path, settings: str) -> Iterator[str]:
    """Its URL."""
    folder.mkdir()
    file = folder / "server.conf"
    file.write_text(settings)
    assert SERVER is not None
    options = ["-a", "127.0.0.1", "-p", "-1", "-c", str(file), "--ports_file_dir", str(folder)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([SERVER, *options], **quiet)
    try:
        ports = until(lambda: next(folder.glob("*.ports"), None))
        yield until(lambda: ports.read_text() and json.loads(ports.read_text())["nats"][0])
    finally:
        process.kill()
        process.wait(30)


def published(running: Gateway, url: str, **credentials: Any) -> tuple[Json, Json]:
    """What came to the broker, and what was emitted."""

    async def listen() -> tuple[Json, Json]:
        client = await nats.connect(url, **credentials)
        try:
            subscription = await client.subscribe("all")
            await client.flush()
            emitted = await asyncio.to_thread(running.request, "POST", "/flow", {"n": 1})
            return json.loads((await subscription.next_msg(timeout=60)).data), emitted.json
        finally:
            await client.close()

    return asyncio.run(listen())


def settings(url: str, **more: Json) -> str:
    return "engine: " + json.dumps(
        {"events": {"nats": {"servers": [url], "publish": "all", "jetstream": False, **more}}}
    )


def test_the_gateway_proves_itself_by_an_nkey(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, EMIT)
    key = Key(nkeys.PREFIX_BYTE_USER)
    users = f"authorization: {{users: [{{nkey: {key.public}}}]}}"
    with server(tmp_path / "broker", users) as url:
        text = config(service.port, extra=settings(url, nkey="${env:SEED}"))
        running = gateway(text, environment={"SEED": key.seed})
        got, emitted = published(running, url, nkeys_seed_str=key.seed)
        assert got == emitted
        other = Key(nkeys.PREFIX_BYTE_USER)
        running.kill()
        running = gateway(environment={"SEED": other.seed})
        running.request("POST", "/flow", {"n": 2})
        until(lambda: "the broker cannot be used" in running.log)
        assert key.seed not in running.log
        assert other.seed not in running.log


def test_the_gateway_proves_itself_by_a_file_of_credentials_that_may_be_exchanged(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, EMIT)
    operator, account = Key(nkeys.PREFIX_BYTE_OPERATOR), Key(nkeys.PREFIX_BYTE_ACCOUNT)
    unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    shop = operator.jwt(account, "shop", type="account", limits={**unlimited, "wildcards": True})
    trusted = operator.jwt(operator, "operator", type="operator")

    def credentials() -> str:
        user = Key(nkeys.PREFIX_BYTE_USER)
        jwt = account.jwt(user, "gate", type="user", subs=-1, data=-1, payload=-1)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\nKeep it secret.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n\n"
        )

    known = f"operator: {trusted}\nresolver: MEMORY\nresolver_preload: {{{account.public}: {shop}}}\n"
    file = tmp_path / "gate.creds"
    first, second = credentials(), credentials()
    file.write_text(first.replace("\n", "\r\n"))
    with server(tmp_path / "broker", known) as url:
        running = gateway(config(service.port, extra=settings(url, creds="gate.creds")))
        got, emitted = published(running, url, user_credentials=RawCredentials(first))
        assert got == emitted
    file.write_text("nothing")
    running.request("POST", "/flow", {"n": 2})
    until(lambda: "'gate.creds' cannot be used" in running.log)
    file.write_text(second)
    with server(tmp_path / "again", known) as url:
        running.kill()
        running = gateway(config(service.port, extra=settings(url, creds="gate.creds")))
        until(lambda: "stagedoor_events_delivered_total 1" in running.metrics())
        for each in (first, second):
            assert each.split("SEED-----\n")[1].split("\n")[0] not in running.log
