"""Errors of an execution: RFC 7807 objects, as the specification types them, and how they travel inside the machine."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from stagedoor.errors import StagedoorError

Json = Any

STANDARD = "https://open-workflow-specification.org/spec/1.0.0/errors/"
HOSTS = frozenset({"open-workflow-specification.org", "serverlessworkflow.io", "www.serverlessworkflow.io"})
"""Hosts under which the specification, its examples and its conformance scenarios name the same error kinds."""
MAX_TEXT = 1000
"""Longest title or detail, in characters, taken over from a service."""


class ReplayMismatch(StagedoorError):
    """The history does not belong to this definition or to this version of the machine."""


class Failure(Exception):
    """An error on its way up the tasks, until something catches it.

    ``unknown`` says that the failed task may have been carried out; ``fatal`` that nothing may catch it.
    """

    def __init__(self, error: dict[str, Json], *, unknown: bool = False, fatal: bool = False) -> None:
        super().__init__(error)
        self.error = error
        self.unknown = unknown
        self.fatal = fatal


def standard(kind: str, status: int, title: str, instance: str, detail: str | None = None) -> dict[str, Json]:
    """An error of one of the specification's kinds: communication, expression, runtime, validation …"""
    error: dict[str, Json] = {"type": STANDARD + kind, "status": status, "title": title}
    if detail is not None:
        error["detail"] = detail
    error["instance"] = instance
    return error


def answered(status: int, content: Json, instance: str) -> dict[str, Json]:
    """The error of a call that was answered with a status that is no success; keeps a problem document's words."""
    title, detail = reason(status), None
    if isinstance(content, dict):
        title = _text(content.get("title")) or title
        detail = _text(content.get("detail"))
    return standard("communication", status, title, instance, detail)


def reason(status: int) -> str:
    """The phrase that HTTP gives to a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def same_type(wanted: str, found: str) -> bool:
    """Whether two error types mean the same. The specification's own kinds are compared by their last segment, because
    its prose, its scenarios and its older releases spell the rest differently."""
    if wanted == found:
        return True
    try:
        one, other = urlsplit(wanted), urlsplit(found)
    except ValueError:
        return False
    return (
        one.hostname in HOSTS
        and other.hostname in HOSTS
        and one.path.rpartition("/")[2] == other.path.rpartition("/")[2]
    )


def _text(value: Json) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) and value else None
