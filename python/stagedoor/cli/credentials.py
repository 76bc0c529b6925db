"""``stagedoor credentials create|list|rotate|revoke``: what consumers prove themselves by beside API keys."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.keys import overlap_argument, rights, rights_arguments, time_text
from stagedoor.cli.output import json_argument, say, say_json, say_table

NAME = "credentials"
HELP = "create, list, rotate and revoke passwords, certificates and signature keys of a running gateway"
KINDS = {
    "basic": "a name and a password",
    "mtls": "what a client certificate says",
    "signature": "a public key by which requests are signed",
}
CERTIFICATE = {
    "subject": "the whole subject, such as CN=billing, O=Example",
    "dns": "a DNS name",
    "uri": "a URI",
    "email": "an address of mail",
    "ip": "an IP address",
    "spiffe": "a SPIFFE ID",
    "sha256": "SHA-256 of the certificate in DER, in hex",
}
Json = Any


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    creating = verbs.add_parser("create", help="a new one; a password that is made is shown this once")
    listing = verbs.add_parser("list", help="those of a consumer, without its keys")
    rotating = verbs.add_parser("rotate", help="a new one with the rights of another, which stays good for a while")
    revoking = verbs.add_parser("revoke", help="refuse one from now on")
    for verb, text in ((creating, "create"), (rotating, "rotate")):
        kinds = verb.add_subparsers(title="kinds", metavar="KIND", required=True, dest="kind")
        for kind, what in KINDS.items():
            part = kinds.add_parser(kind, help=what, description=f"{text} {what}")
            _common(part, verb is rotating)
            _proof(part, kind, verb is creating)
            if verb is creating:
                rights_arguments(part)
            else:
                overlap_argument(part)
    _common(listing, False)
    _common(revoking, True)


def _common(parser: argparse.ArgumentParser, of_one: bool) -> None:
    parser.add_argument("consumer", metavar="CONSUMER")
    if of_one:
        parser.add_argument("id", metavar="ID")
    admin_argument(parser)
    json_argument(parser)


def _proof(parser: argparse.ArgumentParser, kind: str, creating: bool) -> None:
    """The options of a kind; their ``dest`` is what the admin endpoint calls them."""
    if kind == "basic":
        if creating:
            parser.add_argument("--username", metavar="NAME", help="default: the consumer's name")
        either = parser.add_mutually_exclusive_group()
        either.add_argument(
            "--password-file", dest="password", type=_line, metavar="FILE", help="its one line; -: standard input"
        )
        either.add_argument("--password-hash", metavar="HASH", help="of argon2id or bcrypt, made elsewhere")
    elif kind == "mtls":
        either = parser.add_mutually_exclusive_group(required=True)
        for field, what in CERTIFICATE.items():
            either.add_argument(f"--{field}", dest="certificate", type=_named(field), metavar="VALUE", help=what)
    else:
        parser.add_argument("--key-id", required=True, metavar="ID", help="'keyid' of its signatures")
        parser.add_argument(
            "--algorithm", required=creating, metavar="NAME", help="such as ed25519 or ecdsa-p256-sha256"
        )
        parser.add_argument(
            "--public-key", required=True, type=_text, metavar="FILE", help="in PEM, or as a JWK; -: standard input"
        )


def run(arguments: argparse.Namespace) -> int:
    admin = find_admin(arguments.admin)
    path = f"/consumers/{quote(arguments.consumer, safe='')}/credentials"
    match arguments.verb:
        case "list":
            answer = admin.ask("GET", path)
            if arguments.json:
                say_json(answer)
            else:
                say_credentials(answer["credentials"])
            return 0
        case "create":
            answer = admin.ask("POST", path, {"kind": arguments.kind} | _given(arguments) | rights(arguments))
        case "rotate":
            body = {"overlap": arguments.overlap} | _given(arguments)
            answer = admin.ask("POST", f"{path}/{quote(arguments.id)}/rotate", body)
        case _:
            answer = admin.ask("DELETE", f"{path}/{quote(arguments.id)}")
    if arguments.json:
        say_json(answer)
    elif answer is None:
        say(f"{arguments.id} is revoked")
    else:
        say_credentials([answer])
        if "password" in answer:
            say("")
            say("The password, which is not shown again:")
            say(answer["password"])
    return 0


def say_credentials(credentials: Iterable[Json]) -> None:
    columns = ("id", "known by", "description", "scopes", "expires", "routes", "networks", "last used")
    rows = (
        (
            each["id"],
            _known_by(each),
            each["description"],
            " ".join(each["scopes"]),
            time_text(each["expires"]),
            "all" if each["routes"] is None else " ".join(each["routes"]),
            "all" if each["networks"] is None else " ".join(each["networks"]),
            time_text(each["last_used"]),
        )
        for each in credentials
    )
    say_table(columns, rows)


def _known_by(credential: Json) -> str:
    match credential["kind"]:
        case "basic":
            return str(credential["username"])
        case "mtls":
            return " ".join(f"{field}={value}" for field, value in credential["certificate"].items())
        case _:
            return f"{credential['key_id']} ({credential['algorithm']})"


def _given(arguments: argparse.Namespace) -> Json:
    names = ("username", "password", "password_hash", "certificate", "key_id", "algorithm", "public_key")
    given = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise argparse.ArgumentTypeError(f"'{file}' cannot be read: {reason}") from None


def _line(file: str) -> str:
    return _text(file).removesuffix("\n").removesuffix("\r")


def _named(field: str) -> Any:
    return lambda value: {field: value}
