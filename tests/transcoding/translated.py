"""A gateway that translates for the kitchen's clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kitchen import descriptor_set
from running import Gateway

Json = Any


def start(folder: Path, port: int, translate: Json, **more: Json) -> Gateway:
    """``more``: other policies, ``cluster``, other ``clusters``, and the ``api`` that the route is of."""
    clusters, api = more.pop("clusters", {}), more.pop("api", None)
    cluster = {"endpoints": [f"http://127.0.0.1:{port}"], "protocol": "h2c"} | more.pop("cluster", {})
    configuration: dict[str, Json] = {
        "listeners": {"public": {"bind": "127.0.0.1:0", "http2": {"h2c": True}}},
        "admin": {"bind": "127.0.0.1:0"},
        "workers": 1,
        "clusters": {"kitchen": cluster, **clusters},
        "routes": {
            "all": {
                "match": {"path": "/{rest...}"},
                "policies": {"translate": translate, **more},
                "target": {"cluster": "kitchen"},
            }
        },
    }
    if api is not None:
        configuration["apis"] = {"kitchen": api}
        configuration["routes"]["all"]["api"] = "kitchen"
    (folder / "stagedoor.yaml").write_text(json.dumps(configuration))
    (folder / "kitchen.binpb").write_bytes(descriptor_set("kitchen.proto", "old.proto"))
    return Gateway(folder)
