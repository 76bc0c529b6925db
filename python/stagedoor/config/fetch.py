"""Documents of the web, fetched while a configuration is read: there is no data plane yet."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from stagedoor.config.address import PORTS, UNIX, authority, is_secure
from stagedoor.config.cluster import Cluster, endpoint
from stagedoor.config.tls import ClusterTls

MAX_BYTES = 2 * 1024 * 1024
"""Of one document."""
TIMEOUT_S = 10.0
"""Until a server answers, and between two pieces of what it says."""
ACCEPT = "application/json, application/yaml, */*;q=0.5"


class NotFetched(Exception):
    """Why, as the rest of a sentence that begins with the document."""


def fetch(uri: str, folder: Path) -> bytes:
    """From its own server. Raises ``NotFetched``, also for a redirection: a document is where its URL says."""
    parts = urlsplit(uri)
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _get(f"{parts.scheme}://{host}:{port}", target, ClusterTls(), folder)


def fetch_through(cluster: Cluster, target: str, folder: Path) -> bytes:
    """From the first endpoint of a cluster. Raises ``NotFetched``."""
    if cluster.credentials is not None or cluster.protocol in ("h2", "h2c") or cluster.proxy_protocol is not None:
        raise NotFetched("is not fetched through a cluster that wants more than a plain request of HTTP/1.1")
    return _get(endpoint(cluster.endpoints[0]).url, target, cluster.tls, folder)


def _get(server: str, target: str, tls: ClusterTls, folder: Path) -> bytes:
    # A connection of our own: who may be called is said in the configuration alone, and by no proxy's variable.
    connection = HTTPConnection("localhost" if server.startswith(UNIX) else authority(server))
    try:
        connection.sock = _connected(server, tls, folder)
        connection.request("GET", target, headers={"accept": ACCEPT})
        answer = connection.getresponse()
        if answer.status != 200:
            raise NotFetched(f"cannot be fetched: its server answered {answer.status}")
        content = answer.read(MAX_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise NotFetched(f"cannot be fetched: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if len(content) > MAX_BYTES:
        raise NotFetched(f"is larger than {MAX_BYTES >> 20} MiB")
    return content


def _connected(server: str, tls: ClusterTls, folder: Path) -> socket.socket:
    if server.startswith(UNIX):
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(TIMEOUT_S)
        plain.connect(server.removeprefix(UNIX))
        return plain
    parts = urlsplit(server)
    plain = socket.create_connection((parts.hostname, parts.port), TIMEOUT_S)
    if not is_secure(server):
        return plain
    try:
        name = tls.server_name or parts.hostname
        return _context(tls, folder).wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def _context(tls: ClusterTls, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if tls.ca is None else str(folder / tls.ca))
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.cert is not None:
        context.load_cert_chain(folder / tls.cert, None if tls.key is None else folder / tls.key)
    return context
