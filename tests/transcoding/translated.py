"""A gateway that translates for the kitchen's clients."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitchen import descriptor_set
from running import Answer, Gateway

Json = Any
DESCRIPTORS = {"descriptors": {"file": "kitchen.binpb"}}

# Other settings before the same service, by the host that has them: of ``grpc``, of other policies, and of the cluster.
HOSTS: dict[str, Json] = {
    "written": {"grpc": {"json": {"defaults": True, "enums": "numbers", "names": "original"}}},
    "lenient": {"grpc": {"json": {"unknown_fields": "ignore"}, "unknown_query": "ignore"}},
    "automatic": {"grpc": {"automatic": True, "base_path": "/api"}},
    "small": {"grpc": {"max_message": "1KiB"}},
    "lines": {"grpc": {"stream": "ndjson"}},
    "idle": {"policies": {"limits": {"stream_idle": "300ms"}}},
    "hasty": {"cluster": {"timeouts": {"request": "700ms"}}},
    "compressing": {},
}


@dataclass
class Door:
    """One host of a gateway."""

    gateway: Gateway
    host: str

    def request(self, method: str, path: str, body: Json = None, headers: dict[str, str] | None = None) -> Answer:
        return self.gateway.request(method, path, body, {"host": self.host, **(headers or {})})


def cluster(port: int, **more: Json) -> Json:
    return {"endpoints": [f"http://127.0.0.1:{port}"], "protocol": "h2c"} | more


def start(folder: Path, clusters: Json, routes: Json, **more: Json) -> Gateway:
    """``routes`` have a path and lead to the cluster ``kitchen`` unless they say so; ``more``: other sections."""
    whole = {"match": {"path": "/{rest...}"}, "target": {"cluster": "kitchen"}}
    configuration = {
        "listeners": {"public": {"bind": "127.0.0.1:0", "http2": {"h2c": True}}},
        "admin": {"bind": "127.0.0.1:0"},
        "workers": 1,
        "clusters": clusters,
        "routes": {name: whole | route for name, route in routes.items()},
        **more,
    }
    (folder / "stagedoor.yaml").write_text(json.dumps(configuration))
    (folder / "kitchen.binpb").write_bytes(descriptor_set("kitchen.proto", "old.proto"))
    return Gateway(folder)
