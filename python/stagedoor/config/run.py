"""What workflows may run beside calls: scripts and shell commands, where the operator allows them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from stagedoor.policies.model import Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise wrong("expected an absolute path, for example /usr/bin/python3")
    return value


Program = Annotated[str, Field(max_length=4096), AfterValidator(_absolute)]


class Confinement(Strict):
    """A process of a workflow."""

    workflows: Annotated[list[str], Field(min_length=1, max_length=1000)]
    """``namespace/name`` of those that may."""
    time: Duration = duration("30s", least="100ms", most="1h")
    """After which it is ended."""
    cpu: Duration = duration("10s", least="1s", most="1h")
    """Time of processors."""
    memory: Size = size("512MiB", least="16MiB", most="64GiB")
    """Address space of each process."""
    output: Size = size("256KiB", least="1KiB", most="1MiB")
    """What it may print to stdout and to stderr, and write into each file."""
    processes: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Processes and threads at once. The kernel sets no such limit for root."""


class Shell(Confinement):
    """Shell commands."""

    program: Program = "/bin/sh"
    """The shell."""


class Script(Confinement):
    """Scripts."""

    python: Program | None = None
    """The interpreter for ``language: python``. Left out: there are no such scripts."""
    js: Program | None = None
    """Node.js, for ``language: js``."""


class Run(Strict):
    """What workflows may run."""

    shell: Shell | None = None
    """Shell commands. Left out: none."""
    script: Script | None = None
    """Scripts. Left out: none."""

    def allowed(self) -> dict[str, tuple[str, Confinement]]:
        """By language: the program, and within what."""
        found: dict[str, tuple[str, Confinement]] = {}
        if self.shell is not None:
            found["shell"] = (self.shell.program, self.shell)
        for language in ("python", "js"):
            program = None if self.script is None else getattr(self.script, language)
            if self.script is not None and program is not None:
                found[language] = (program, self.script)
        return found
