"""Pages of the documentation as tests read them: the files that they show, the commands, and what these print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from stagedoor.cli import main

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLES = DOCS.parent / "examples"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w-]+(?:\.[\w-]+)+)\b")
SHOWN = re.compile(r"^\$ stagedoor (.+)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
TOOK = re.compile(r"in \d+\.\d\d s$", re.MULTILINE)
"""The only time in an output that is no virtual one."""


def documents(page: Path) -> list[object]:
    """Every workflow document of a page."""
    found = [YAML(typ="safe", pure=True).load(text) for kind, text in BLOCK.findall(page.read_text()) if kind == "yaml"]
    return [document for document in found if isinstance(document, dict) and "document" in document]


def write(page: Path, folder: Path) -> None:
    """The files of a page, each named in the comment that it begins with; parts of a configuration are none."""
    for kind, text in BLOCK.findall(page.read_text()):
        name = NAMED.match(text)
        if kind in ("yaml", "python") and name and (name[1] != "stagedoor.yaml" or "listeners:" in text):
            (folder / name[1]).write_text(text)


def played(page: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The page with what its commands print, each run in this process, which is ten times as fast, and in the order in
    which they stand there. All of them end with 0."""

    def run(shown: re.Match[str]) -> str:
        capsys.readouterr()
        code = main(shlex.split(shown[1]))
        printed = capsys.readouterr()
        assert code == 0, f"{shown[1]}\n{printed.out}{printed.err}"
        return f"$ stagedoor {shown[1]}\n{TOOK.sub('in 0.01 s', printed.out)}"

    return SHOWN.sub(run, page.read_text())
