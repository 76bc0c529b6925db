"""The examples of the pages about workflows can be run as they stand, and print what the pages say."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pages
import pytest
from pages import DOCS, EXAMPLES
from ruamel.yaml import YAML
from stagedoor.workflow.parse import parse
from stagedoor.workflow.tasks import KINDS
from stagedoor.workflow.tasks.call import PROTOCOLS

DECISIONS = DOCS / "workflows" / "decisions.md"
OF_PARTS = [page for page in sorted((DOCS / "workflows").glob("*.md")) if page != DECISIONS]
PAGES = [DOCS / "workflows.md", DOCS / "sagas.md", *OF_PARTS]


class Beside:
    """The files that the pages name are those of the example of calls."""

    def get(self, uri: str, form: str, path: tuple[str | int, ...]) -> Any:
        if form == "server":
            return "cluster://pets"
        text = (EXAMPLES / "calls" / uri).read_text()
        return YAML(typ="safe", pure=True).load(text) if form == "data" else text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_workflows_of_a_page_are_right(page: Path) -> None:
    workflows = pages.documents(page)
    assert workflows
    for document in workflows:
        assert parse(document, Beside()).warnings == ()


@pytest.mark.parametrize("page", [*PAGES, DOCS / "authoring.md"], ids=lambda page: page.stem)
def test_the_commands_of_a_page_print_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``REGENERATE=1 pytest tests/workflow/test_pages.py`` writes it anew."""
    shutil.copytree(EXAMPLES / "calls", tmp_path, dirs_exist_ok=True)
    (tmp_path / "stagedoor.yaml").unlink()
    (tmp_path / "examples").symlink_to(EXAMPLES)
    pages.write(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON", sys.executable)
    played = pages.played(page, capsys)
    if os.environ.get("REGENERATE"):
        page.write_text(played)
    assert "$ stagedoor workflow" in played
    assert page.read_text() == played


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_task_has_a_page_of_its_name_with_the_same_anatomy(kind: str) -> None:
    text = (DOCS / "workflows" / f"{kind}.md").read_text()
    assert text.startswith(f"# {kind}\n")
    assert re.search(r"^\| key .*\| type \| default \| means \|$", text, flags=re.MULTILINE)
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings[-3:] == ["When something goes wrong", "Bounds", "Decisions"]


@pytest.mark.parametrize("protocol", sorted({*PROTOCOLS, "function"} - {"compensate"}))
def test_every_kind_of_call_has_a_page_of_its_name(protocol: str) -> None:
    text = (DOCS / "workflows" / f"call_{protocol}.md").read_text()
    assert text.startswith((f"# call: {protocol}\n", f"# call: a {protocol}\n"))
