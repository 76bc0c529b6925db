"""Credentials of NATS that are keys: seeds of nkeys, and files of a JWT and the seed that goes with it."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

_SEED = re.compile(r"SU[A-Z2-7]{56}")
_PART = re.compile(r"-+BEGIN ([A-Z ]+)-+\s+(\S+)\s+-+END \1-+")
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
MAX_BYTES = 100_000
"""Of a file of credentials."""


def is_seed(value: str) -> bool:
    """Whether it is the seed of a user's nkey, by its checksum too."""
    if not _SEED.fullmatch(value):
        return False
    raw = base64.b32decode(value + "======")
    return binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little")


def read(file: Path) -> str:
    """The two parts of a file of credentials, in the form in which the client library wants them. OSError; ValueError
    says what is wrong with it, without a word of what is in it."""
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    parts = dict(_PART.findall(content.decode("ascii", "replace")))
    jwt, seed = parts.get("NATS USER JWT"), parts.get("USER NKEY SEED")
    if jwt is None or seed is None:
        raise ValueError("it does not hold a NATS USER JWT and a USER NKEY SEED")
    if not _JWT.fullmatch(jwt):
        raise ValueError("its NATS USER JWT is none")
    if not is_seed(seed):
        raise ValueError("its USER NKEY SEED is no seed of a user")
    return _FORM.format(jwt=jwt, seed=seed)


_FORM = """-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------
-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""
