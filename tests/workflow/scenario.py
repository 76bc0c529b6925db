"""Cases as files: several to a file, each a YAML document."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from stagedoor.workflow.resource import Pinned

HERE = Path(__file__).parent
HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "case", "version": "1.0.0"}
ROOT_KEYS = ("use", "do", "input", "output")


SWAGGER = {
    "swagger": "2.0",
    "host": "petstore.swagger.io",
    "basePath": "/v2",
    "schemes": ["https", "http"],
    "paths": {
        "/pet/findByStatus": {
            "get": {
                "operationId": "findPetsByStatus",
                "parameters": [
                    {"name": "status", "in": "query", "required": True, "type": "array", "collectionFormat": "multi"}
                ],
                "produces": ["application/json", "application/xml"],
            }
        },
        "/pet/{petId}": {
            "get": {
                "operationId": "getPetById",
                "parameters": [{"name": "petId", "in": "path", "required": True, "type": "integer"}],
            }
        },
    },
}
"""The part of the petstore's description that the scenarios need."""
READINGS = {
    "openapi": "3.1.0",
    "servers": [{"url": "http://myorg.io"}],
    "paths": {
        f"/{name}": {"post": {"operationId": name, "requestBody": {"content": {"application/json": {}}}}}
        for name in ("logreading", "produceReport")
    },
}
GREETER = """syntax = "proto3"; package GreeterApi;
service Greeter { rpc SayHello(Hello) returns (Hello); }
message Hello { string name = 1; }"""
RESOURCES = Pinned(
    {
        "text file://app/greet.proto": GREETER,
        "data http://myorg.io/ordersservices.json": READINGS,
        "data https://petstore.swagger.io/v2/swagger.json": SWAGGER,
        "data https://raw.githubusercontent.com/serverlessworkflow/catalog/main/functions/log/1.0.0/function.yaml": {
            "set": {"logged": "${ .message }"}
        },
    }
)
"""What the specification's documents refer to."""


def load(path: Path) -> list[Any]:
    return [document for document in YAML(typ="safe", pure=True).load_all(path.read_text()) if document is not None]


def load_folder(folder: str) -> list[tuple[str, dict[str, Any]]]:
    """(id, case) for every case; the id is the file's stem and the sentence."""
    return [
        (f"{path.stem}: {case['case']}", case) for path in sorted((HERE / folder).glob("*.yaml")) for case in load(path)
    ]


def document(case: dict[str, Any]) -> dict[str, Any]:
    """The case's whole workflow, or one built from its parts with a head that does not matter."""
    if "workflow" in case:
        whole: dict[str, Any] = case["workflow"]
        return {"document": HEAD, **whole}
    head = {**HEAD, "metadata": case["metadata"]} if "metadata" in case else HEAD
    return {"document": head, **{key: case[key] for key in ("use", "do") if key in case}}


def shared() -> Path | None:
    """The folder with the specification's own files, if it is there."""
    named = os.environ.get("STAGEDOOR_SHARED")
    top = HERE.parents[1]
    for folder in [Path(named)] if named else [top.parent / "shared", top.parent.parent / "shared"]:
        if (folder / "ows").is_dir():
            return folder
    return None


SHARED = shared()
