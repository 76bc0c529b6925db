"""``${env:NAME}``, ``${env:NAME:-default}`` and ``${file:path}`` in any string; ``$${`` stands for ``${``."""

from __future__ import annotations

import re
from collections.abc import Mapping as Environment
from dataclasses import dataclass, field
from pathlib import Path

from stagedoor.config.node import Node, Scalar, scalars
from stagedoor.config.problem import Located, did_you_mean

MAX_FILE_BYTES = 1024 * 1024
"""A larger file is refused."""

_REFERENCE = re.compile(r"\$\$\{|\$\{\s*([A-Za-z_]+):([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Missing(Exception):
    """What a reference names is not there; the message never holds a value."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(slots=True)
class Substitution:
    """Puts values in, and remembers them, so that no error ever shows one."""

    environment: Environment[str, str]
    secrets: set[str] = field(default_factory=set)
    files: set[Path] = field(default_factory=set)
    """Every file whose content was put in."""

    def apply(self, node: Node) -> list[Located]:
        """Change every string below ``node`` in place."""
        problems = []
        for path, scalar in scalars(node):
            if isinstance(scalar.value, str) and "${" in scalar.value:
                try:
                    scalar.value = self.text(scalar)
                except Missing as missing:
                    problems.append(Located(scalar.place, path, missing.message, missing.hint))
        return problems

    def text(self, scalar: Scalar) -> str:
        """The string of a scalar with every reference replaced. Raises Missing."""

        def replace(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            if not match[3]:
                raise Missing(f"'{match[0]}' has no closing '}}'", "write '$${' where '${' itself is meant")
            value = self.value(match[1], match[2], scalar.place.source.path.parent)
            self.secrets.add(value)
            return value

        # From `written`: a scalar that an alias repeats is visited twice, and must not be substituted twice.
        return _REFERENCE.sub(replace, scalar.written)

    def value(self, kind: str, argument: str, folder: Path) -> str:
        if kind == "env":
            return self.variable(argument)
        if kind == "file":
            return self.content(argument, folder)
        hint = did_you_mean(kind, ["env", "file"]) or "write '$${' where '${' itself is meant"
        raise Missing(f"'${{{kind}:…}}' is not known; there are ${{env:NAME}} and ${{file:path}}", hint)

    def variable(self, argument: str) -> str:
        name, separator, default = argument.partition(":-")
        if not _NAME.match(name):
            raise Missing(f"'{name}' is not the name of an environment variable")
        value = self.environment.get(name)
        if separator:
            return value or default
        if value is None:
            near = did_you_mean(name, self.environment)
            raise Missing(
                f"the environment variable '{name}' is not set",
                near or f"set it, or give a default: ${{env:{name}:-default}}",
            )
        return value

    def content(self, argument: str, folder: Path) -> str:
        """Without the newline at the end, which editors add."""
        path = (folder / argument).resolve()
        self.files.add(path)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise Missing(f"the file '{argument}' cannot be read: {error.strerror or 'not a file'}") from None
        except ValueError:
            raise Missing(f"'{argument!r}' is not a path") from None
        if len(content) > MAX_FILE_BYTES:
            raise Missing(f"the file '{argument}' is larger than 1 MiB")
        try:
            return content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Missing(f"the file '{argument}' is not UTF-8 text") from None
