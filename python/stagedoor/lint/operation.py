"""Operations of OpenAPI as a document calls them: what their descriptions say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stagedoor.workflow.address import addresses
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.openapi import Operation
from stagedoor.workflow.tasks.call_openapi import OpenapiCall

Json = Any
Operations = Mapping[str, Operation]
"""By the call that means them."""


def operations(definition: Definition) -> Operations:
    return {
        _meant(task.document["with"]): task.operation
        for task in addresses(definition).tasks()
        if isinstance(task, OpenapiCall) and isinstance(task.document, dict)
    }


def operation(task: Json, known: Operations) -> Operation | None:
    """The one that a task calls. None: it calls something else, or nothing is known of it."""
    return known.get(_meant(task.get("with") or {})) if task.get("call") == "openapi" else None


def _meant(given: Json) -> str:
    return json.dumps([given.get("document"), given.get("operationId")], sort_keys=True)
