"""The examples of the pages about workflows can be run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stagedoor.workflow.parse import parse
from stagedoor.workflow.tasks import KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "sagas.md", *sorted((DOCS / "workflows").glob("*.md"))]
EXAMPLE = Path(__file__).parents[2] / "examples" / "calls"


class Beside:
    """The files that the pages name are those of the example of calls."""

    def get(self, uri: str, form: str, path: tuple[str | int, ...]) -> Any:
        if form == "server":
            return "cluster://pets"
        text = (EXAMPLE / uri).read_text()
        return YAML(typ="safe", pure=True).load(text) if form == "data" else text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_workflows_of_a_page_are_right(page: Path) -> None:
    blocks = re.findall(r"```yaml\n(.+?)```", page.read_text(), flags=re.DOTALL)
    documents = [YAML(typ="safe", pure=True).load(text) for text in blocks]
    workflows = [document for document in documents if "document" in document]
    assert workflows
    for document in workflows:
        assert parse(document, Beside()).warnings == ()


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in KINDS], ids=lambda page: page.stem)
def test_a_page_of_a_kind_begins_with_its_name(page: Path) -> None:
    assert page.read_text().startswith(f"# {page.stem}\n")
