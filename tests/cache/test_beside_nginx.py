"""The cache beside nginx's ``proxy_cache``: the same answers of a service, the same requests, the same outcome.
The cases are in ``beside_nginx.yaml``."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import Gateway, until

CASES = yaml.safe_load(Path(__file__).with_name("beside_nginx.yaml").read_text())
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

NGINX_CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log;
events {{ worker_connections 100; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    proxy_cache_path {folder}/stored keys_zone=stored:1m use_temp_path=off;
    server {{
        listen unix:{folder}/nginx.socket;
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_cache stored;
            proxy_cache_key $host$request_uri;
            proxy_cache_lock on;
        }}
    }}
}}
"""
CONFIG = """
listeners: {{public: {{bind: "unix:{folder}/stagedoor.socket"}}}}
clusters: {{cases: {{endpoints: ["http://127.0.0.1:{port}"], retry: {{attempts: 0}}, ejection: {{failures: 0}}}}}}
routes: {{all: {{match: {{path: "/{{rest...}}"}}, policies: {{cache: {{}}}}, target: {{cluster: cases}}}}}}
"""


class Cases(ThreadingHTTPServer):
    """``/PROXY/NUMBER`` is answered as case NUMBER says; the content tells how often that was."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.gate = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cases

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.lock:
            self.server.calls[path] += 1
            number = self.server.calls[path]
        if path.endswith("/gated"):
            self.server.gate.wait(20)
            status, fields = 200, {"Cache-Control": "max-age=60"}
        else:
            status, fields = CASES[int(path.rpartition("/")[2])]["answer"]
        content = f"answer {number}".encode()
        self.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


class Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("shop.example", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


@pytest.fixture
def service() -> Iterator[Cases]:
    with Cases() as cases:
        threading.Thread(target=cases.serve_forever, daemon=True).start()
        yield cases
        cases.shutdown()


@pytest.fixture
def proxies(service: Cases, gateway: Callable[..., Gateway], tmp_path: Path) -> Iterator[dict[str, Path]]:
    if NGINX is None:
        assert not os.environ.get("CI"), "nginx is missing"
        pytest.skip("nginx is not installed: make test-tools")
    # Workers of nginx would be somebody else where its master is root, and could not enter the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    values = {"user": user, "folder": tmp_path, "port": service.server_address[1]}
    (tmp_path / "nginx.conf").write_text(NGINX_CONFIG.format(**values))
    sockets = {name: tmp_path / f"{name}.socket" for name in ("nginx", "stagedoor")}
    with subprocess.Popen(
        [NGINX, "-e", str(tmp_path / "nginx.error.log"), "-c", str(tmp_path / "nginx.conf")]
    ) as nginx:
        try:
            gateway(CONFIG.format(**values))
            until(lambda: all(each.exists() for each in sockets.values()))
            yield sockets
        finally:
            nginx.terminate()


def ask(path: Path, target: str, method: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
    connection = Connection(path)
    try:
        verb, _, query = method.partition(" ")
        connection.request(verb, target + query, headers=fields or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def expected(status: int, number: Any, content: str) -> bool:
    """An answer without content is judged by its status alone."""
    return number is None or content == ("answ" if number == "part" else f"answer {number}")


def test_both_do_the_same_with_the_same_answers(service: Cases, proxies: dict[str, Path]) -> None:
    wrong = []
    for number, case in enumerate(CASES):
        for name, path in proxies.items():
            target = f"/{name}/{number}"
            got = [ask(path, target, *request) for request in case["ask"]]
            good = [
                status == wanted and expected(status, answer, content)
                for (status, content), (wanted, answer) in zip(got, case["get"], strict=True)
            ]
            if not all(good) or service.calls[target] != case["calls"]:
                wrong.append(f"{case['case']}: {name}: {got}, {service.calls[target]} calls")
    assert not wrong, "\n".join(wrong)


def test_both_ask_once_for_all_who_ask_at_once(service: Cases, proxies: dict[str, Path]) -> None:
    with ThreadPoolExecutor(40) as pool:
        asked = {
            name: [pool.submit(ask, path, f"/{name}/gated", "GET") for _ in range(20)] for name, path in proxies.items()
        }
        until(lambda: len(service.calls) == 2)
        service.gate.set()
        for answers in asked.values():
            assert {answer.result(30) for answer in answers} == {(200, "answer 1")}
    assert service.calls == {"/nginx/gated": 1, "/stagedoor/gated": 1}
