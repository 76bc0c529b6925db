"""The admin endpoint of a running gateway, asked by commands."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stagedoor.cli.output import DEFAULT_FILE
from stagedoor.errors import StagedoorError

DEFAULT_ADMIN = "http://127.0.0.1:9901"
TOKEN_VARIABLE = "STAGEDOOR_ADMIN_TOKEN"
CA_VARIABLE = "STAGEDOOR_ADMIN_CA"
"""A file of certificates that vouch for the endpoint. Left out: those that the system trusts."""
CERTIFICATE_VARIABLE = "STAGEDOOR_ADMIN_CERTIFICATE"
"""A file with a certificate of one's own and its chain, and its key unless that has a file."""
KEY_VARIABLE = "STAGEDOOR_ADMIN_KEY"
TIMEOUT_S = 10
Json = Any


class AdminUnavailable(StagedoorError):
    """The admin endpoint gave no answer that can be used."""


class AdminRefused(AdminUnavailable):
    """The endpoint says no."""

    def __init__(self, url: str, status: int, detail: str) -> None:
        super().__init__(f"{url}: {detail}")
        self.status, self.detail = status, detail


def admin_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin",
        metavar="URL",
        help=f"the admin endpoint (default: that of {DEFAULT_FILE} if it is there, else {DEFAULT_ADMIN})",
    )


@dataclass(frozen=True, slots=True)
class Admin:
    """Where to ask, and with which token."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Admin({self.url!r})"

    def ask(self, method: str, path: str, body: Json = None) -> Json:
        """The answer's JSON, None where it has no content. AdminUnavailable for every other end."""
        url = self.url
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AdminUnavailable(f"{url} is not an http URL")
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        if body is not None:
            headers["Content-Type"] = "application/json"
        if parts.scheme == "https":
            context = _context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port or 443, timeout=TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise AdminUnavailable(f"no answer from the admin endpoint at {url}: {error}") from None
        finally:
            connection.close()
        if response.status == 204:
            return None
        try:
            answer = json.loads(text)
        except ValueError:
            raise AdminUnavailable(f"{url} answered {response.status} with something else than JSON") from None
        if response.status == 401:
            raise AdminUnavailable(
                f"the admin endpoint at {url} asks for a token or a certificate that it knows: set {TOKEN_VARIABLE}"
                f" or {CERTIFICATE_VARIABLE}"
            )
        if response.status not in (200, 201, 202):
            raise AdminRefused(url, response.status, answer.get("detail", response.reason))
        return answer


def _context() -> ssl.SSLContext:
    """Of the environment's files."""
    try:
        context = ssl.create_default_context(cafile=os.environ.get(CA_VARIABLE))
        if certificate := os.environ.get(CERTIFICATE_VARIABLE):
            context.load_cert_chain(certificate, os.environ.get(KEY_VARIABLE))
    except OSError as error:
        names = f"{CA_VARIABLE}, {CERTIFICATE_VARIABLE} and {KEY_VARIABLE}"
        raise AdminUnavailable(f"a file of {names} cannot be used: {error.strerror or error}") from None
    return context


def find_admin(url: str | None) -> Admin:
    """At ``url``, else where the configuration says; the token is the environment's, else the configuration's."""
    token = os.environ.get(TOKEN_VARIABLE)
    if url is not None or not Path(DEFAULT_FILE).exists():
        return Admin(url or DEFAULT_ADMIN, token)
    from stagedoor.config import check

    configuration = check(DEFAULT_FILE).configuration
    if configuration is None:
        return Admin(DEFAULT_ADMIN, token)
    admin = configuration.settings.admin
    host, _, port = admin.bind.rpartition(":")
    # What listens everywhere is reached here.
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    scheme = "http" if admin.tls is None else "https"
    return Admin(f"{scheme}://{host}:{port}", token or (admin.token.get_secret_value() if admin.token else None))
