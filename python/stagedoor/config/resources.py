"""What workflow documents refer to: files beside them, and documents of the web, which are fetched once and kept."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from stagedoor.config.address import PORTS
from stagedoor.config.cluster import Cluster, endpoint
from stagedoor.config.description import Bundle
from stagedoor.config.fetch import MAX_BYTES, NotFetched, fetch, fetch_through
from stagedoor.config.include import Reader
from stagedoor.config.node import Node, find
from stagedoor.config.settings import DOCUMENTS, Settings
from stagedoor.workflow.server import Servers, origin

if TYPE_CHECKING:
    from stagedoor.workflow.resource import Form

Json = Any
Steps = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(slots=True)
class Surroundings:
    """What of a configuration counts for its workflows' resources."""

    folder: Path
    """Nothing outside of it is read."""
    documents: Path
    """Where fetched documents are kept."""
    catalog: Path | None = None
    """The default catalog."""
    hosts: Collection[str] = frozenset()
    """``scheme://HOST:PORT`` from which documents may be fetched."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Descriptions in files that name no server → where calls go."""
    servers: Servers = field(default_factory=Servers)
    """URLs that are called through clusters."""
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    """``scheme://HOST:PORT`` → the cluster that has such an endpoint."""
    alone: bool = False
    """There is no configuration that could say where a description's server is: its file's name stands for it."""


def surroundings(folder: Path, settings: Settings | None) -> Surroundings:
    if settings is None:
        return Surroundings(folder, folder / DOCUMENTS)
    engine = settings.engine
    return Surroundings(
        folder,
        folder / engine.documents,
        None if engine.catalog is None else folder / engine.catalog,
        frozenset(engine.allow_hosts),
        engine.servers,
        servers(settings),
        settings.clusters,
        origins(settings),
    )


def servers(settings: Settings) -> Servers:
    """URLs that are called through clusters."""
    return Servers(settings.engine.servers)


def origins(settings: Settings) -> dict[str, str]:
    """``scheme://HOST:PORT`` → the cluster that has such an endpoint."""
    return {endpoint(each).url: name for name, cluster in settings.clusters.items() for each in cluster.endpoints}


class Files:
    """The resources of one workflow document."""

    def __init__(self, reader: Reader, around: Surroundings, file: Path, node: Node) -> None:
        self._reader, self._around, self._file, self._node = reader, around, file, node

    def get(self, uri: str, form: Form, path: Steps) -> Json:
        """Raises ``Unavailable``."""
        if form == "server":
            return self._server(uri)
        place = self._place(uri)
        self._reader.files.setdefault(place, None)
        if form in ("text", "bytes"):
            return self._content(uri, place, text=form == "text")
        before = len(self._reader.problems)
        at, node = find(self._node, path)
        read = Bundle(self._reader, self._around.folder, place).read(uri, node.place or at, path)
        if len(self._reader.problems) > before:
            # Told already, each where it is.
            problem = self._reader.problems.pop()
            raise _unavailable(f"{uri}: {problem.message}", problem.hint)
        return read

    def _place(self, uri: str) -> Path:
        """The file that is read."""
        try:
            parts = urlsplit(uri)
            _ = parts.port
        except ValueError:
            raise _unavailable(f"{uri} is not a URI") from None
        if parts.scheme in PORTS:
            return self._kept(uri)
        if parts.scheme == "catalog":
            if self._around.catalog is None:
                raise _unavailable("there is no default catalog", "name its folder in engine.catalog")
            found = self._around.catalog / unquote(parts.netloc + parts.path)
        elif parts.scheme in ("", "file"):
            name = unquote(parts.path)
            # file://folder/name is what authors write for a file beside the document.
            relative = f"{parts.netloc}{name}" if parts.netloc not in ("", "localhost") else name
            found = self._file.parent / relative if parts.scheme == "" or parts.netloc else Path(name)
        else:
            raise _unavailable(f"{uri} is neither a file nor an http(s) URL")
        found = found.resolve()
        if not found.is_relative_to(self._around.folder):
            raise _unavailable(f"the file '{uri}' is outside the configuration's folder")
        if not found.is_file():
            raise _unavailable(f"the file '{uri}' does not exist")
        return found

    def _kept(self, uri: str) -> Path:
        parts = urlsplit(uri)
        host = (parts.netloc or "").lower()
        names = [name for name in parts.path.split("/") if name] or ["index"]
        if parts.query or not all(_PLAIN.fullmatch(name) for name in (host.replace(":", "_"), *names)):
            names = [sha256(uri.encode()).hexdigest()]
        file = self._around.documents.joinpath(host.replace(":", "_") or "_", *names).resolve()
        if not file.is_relative_to(self._around.documents.resolve()):
            raise _unavailable(f"{uri} is no URL of a document")
        if not file.is_file():
            shown = os.path.relpath(file, self._around.folder)
            _keep(file, self._fetched(uri, shown))
        return file

    def _fetched(self, uri: str, shown: str) -> bytes:
        folder, copy = self._around.folder, f"keep a copy as {shown}"
        try:
            led = self._around.servers.lead(uri)
            if led is not None:
                name, _, path = led.removeprefix("cluster://").partition("/")
                if name not in self._around.clusters:
                    raise _unavailable(f"{uri} cannot be fetched: there is no cluster '{name}'")
                return fetch_through(self._around.clusters[name], f"/{path}", folder)
            server = origin(urlsplit(uri))
            if server not in self._around.hosts:
                raise _unavailable(f"{uri} may not be fetched", f"{copy}, or add {server} to engine.allow_hosts")
            return fetch(uri, folder)
        except NotFetched as why:
            raise _unavailable(f"{uri} {why}", copy) from None

    def _content(self, uri: str, file: Path, *, text: bool) -> str:
        try:
            content = file.read_bytes()
            if len(content) > MAX_BYTES:
                raise _unavailable(f"{uri} is larger than {MAX_BYTES >> 20} MiB")
            return content.decode("utf-8-sig") if text else base64.b64encode(content).decode()
        except (OSError, UnicodeDecodeError):
            raise _unavailable(f"{uri} cannot be read{' as UTF-8 text' if text else ''}") from None

    def _server(self, url: str) -> str:
        """A URL that ``engine.servers`` names stays: it is led when it is called."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS and url in self._around.files:
            return self._around.files[url]
        if parts.scheme == "grpc":
            return self._grpc(url, parts.netloc)
        if parts.scheme not in PORTS and self._around.alone:
            return f"cluster://{quote(parts.path.rpartition('/')[2])}"
        if self._around.servers.lead(url) is None:
            cluster = self._around.origins.get(origin(parts) or "")
            if cluster is not None:
                return f"cluster://{cluster}{parts.path}"
        return url

    def _grpc(self, url: str, name: str) -> str:
        """Of ``HOST:PORT``: a cluster that has such an endpoint, or the host itself."""
        for scheme in ("https", "http"):
            found = f"{scheme}://{name.lower()}"
            if self._around.servers.lead(f"{found}/") is None and found in self._around.origins:
                return f"cluster://{self._around.origins[found]}"
            if self._around.servers.lead(f"{found}/") is not None or found in self._around.hosts:
                return found
        return url


def _unavailable(message: str, hint: str | None = None) -> ValueError:
    # Imported here: a configuration without workflows needs no machine.
    from stagedoor.workflow.resource import Unavailable

    return Unavailable(message, hint)


def _keep(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(file)
    except OSError as error:
        raise _unavailable(f"what was fetched cannot be kept as {file}: {error.strerror}") from None
