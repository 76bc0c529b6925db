"""Documents that a workflow refers to: descriptions of services, protocol files, functions of catalogs.

They are read when the workflow is, by whoever has files and a network, and stay with the definition: its hash covers
them, and an execution goes on with those that it began with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from stagedoor.workflow.place import Place

Json = Any
Form = Literal["data", "text", "bytes", "server"]
"""What a resource is read as: YAML or JSON, text, base64 of bytes; or the URL of a server for where calls go."""
Path = tuple[str | int, ...]

MAX_BYTES = 2 * 1024 * 1024
"""JSON of all resources of one definition."""
KEY = "stagedoor/resources"
"""Where they stand in a document as the store keeps it."""


class Unavailable(ValueError):
    """Why a resource is not there, as a sentence."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Source(Protocol):
    """Where resources come from. Raises ``Unavailable``."""

    def get(self, uri: str, form: Form, path: Path) -> Json:
        """``path`` is where in the workflow document it is asked for."""


class Pinned:
    """Resources that are at hand, by form and URI."""

    def __init__(self, resources: Mapping[str, Json]) -> None:
        self._resources = resources

    def get(self, uri: str, form: Form, path: Path) -> Json:
        found = self._resources.get(f"{form} {uri}")
        if found is None:
            if form == "server":
                return uri
            raise Unavailable(f"{uri} cannot be read here", "only a workflow of a configuration refers to other files")
        return found


class Resources:
    """What one definition refers to, while it is compiled."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.pinned: dict[str, Json] = {}
        self._size = 0

    def get(self, uri: str, form: Form, place: Place) -> Json:
        """None, with the problem told, where there is none."""
        key = f"{form} {uri}"
        if key in self.pinned:
            return self.pinned[key]
        try:
            found = self._source.get(uri, form, place.path)
        except Unavailable as why:
            place.problem(str(why), why.hint)
            return None
        if form != "server" or found != uri:
            self._size += len(json.dumps(found))
            if self._size > MAX_BYTES:
                place.problem(f"what the workflow refers to has more than {MAX_BYTES >> 20} MiB")
                return None
            self.pinned[key] = found
        return found


def external(place: Place) -> str | None:
    """The URI of an ``externalResource``."""
    if not place.mapping(required=("endpoint",)):
        return None
    place.keys({"name", "endpoint"}, common=False)
    return uri(place.at("endpoint"))


def uri(endpoint: Place) -> str | None:
    """Of an endpoint where something is read, not called."""
    if isinstance(endpoint.value, dict):
        endpoint.keys({"uri", "authentication"}, common=False)
        if "authentication" in endpoint.value:
            endpoint.at("authentication").problem(
                "not supported: a document that is fetched with an authentication", "keep a copy in a file"
            )
        if not endpoint.mapping(required=("uri",)):
            return None
        endpoint = endpoint.at("uri")
    text = endpoint.text()
    if text is None:
        return None
    if endpoint.is_expression() or "{" in text:
        endpoint.problem("not supported: a document whose place is computed", "it is read when the gateway starts")
        return None
    return text
