"""An issuer on a port of its own: metadata, keys that rotate, and tokens signed by a library that is not ours."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

Json = Any


class Issuer:
    def __init__(self) -> None:
        self.keys: list[OKPKey] = []
        self.fetches = 0
        self.down = False
        self.open = threading.Event()
        """Cleared, it lets askers for keys wait."""
        self.open.set()
        self.changes: dict[str, Json] = {}
        """Of the metadata."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if issuer.down:
                    self.send_error(500)
                    return
                if self.path == "/.well-known/openid-configuration":
                    body = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys", **issuer.changes}
                else:
                    issuer.fetches += 1
                    issuer.open.wait(30)
                    body = KeySet(issuer.keys).as_dict(private=False)
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def rotate(self) -> None:
        """One new key in place of all before."""
        self.keys = [
            OKPKey.generate_key("Ed25519", {"alg": "EdDSA", "kid": f"key-{time.monotonic_ns()}", "use": "sig"})
        ]

    def token(self, subject: str = "ann", **claims: Json) -> str:
        key = self.keys[-1]
        now = int(time.time())
        content = {"iss": self.url, "sub": subject, "aud": "shop", "iat": now, "exp": now + 600, **claims}
        return jwt.encode({"alg": "EdDSA", "kid": key.kid}, content, key, algorithms=["EdDSA"])

    def __enter__(self) -> Self:
        self.rotate()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
