"""A client of gRPC-Web: what a browser's library does, on the standard library's HTTP/1.1."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """The last frame: what gRPC says in trailers."""

    fields: dict[str, str]

    @property
    def status(self) -> int:
        return int(self.fields["grpc-status"])


def message(content: bytes) -> bytes:
    return b"\0" + len(content).to_bytes(4) + content


class Call:
    """One call; messages are read as they come."""

    def __init__(self, address: str, path: str, content: bytes, *, text: bool = False, **metadata: str) -> None:
        kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
        self.text = text
        self._unread = b""
        self._encoded = b""
        self.connection = http.client.HTTPConnection(address, timeout=60)
        body = base64.b64encode(message(content)) if text else message(content)
        headers = {"content-type": kind, "x-grpc-web": "1", **{k.replace("_", "-"): v for k, v in metadata.items()}}
        self.connection.request("POST", path, body, headers)
        self.response = self.connection.getresponse()

    def _read(self) -> bool:
        piece = self.response.read1(65536)
        if self.text:
            self._encoded += piece
            whole = len(self._encoded) // 4 * 4
            # Pieces are padded each for itself.
            groups = [self._encoded[start : start + 4] for start in range(0, whole, 4)]
            self._unread += b"".join(map(base64.b64decode, groups))
            self._encoded = self._encoded[whole:]
        else:
            self._unread += piece
        return bool(piece)

    def __iter__(self) -> Iterator[bytes | Ended]:
        while True:
            while len(self._unread) < 5 or len(self._unread) < 5 + int.from_bytes(self._unread[1:5]):
                if not self._read():
                    assert self._unread == b"", "the answer ends within a frame"
                    self.connection.close()
                    return
            end = 5 + int.from_bytes(self._unread[1:5])
            flags, content, self._unread = self._unread[0], self._unread[5:end], self._unread[end:]
            if flags & 0x80:
                lines = content.decode().split("\r\n")[:-1]
                yield Ended(dict(line.split(": ", 1) for line in lines))
            else:
                yield content
