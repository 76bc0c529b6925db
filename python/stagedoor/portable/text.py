"""A document as YAML that reads the same by the rules of version 1.1 and of version 1.2."""

from __future__ import annotations

import re
from typing import Any

import yaml

Json = Any
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*(?: [A-Za-z0-9_/.-]+)*\Z")
"""What no version takes for anything but text; the words for true, false and null are left to the writer."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Json) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    style = None if _PLAIN.match(text) else "|" if "\n" in text.rstrip("\n") else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write(document: Json) -> str:
    """In the document's own order; an object without objects in it is one line."""
    written: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=None
    )
    return written
