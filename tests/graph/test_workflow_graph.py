"""Pictures of workflows: golden Mermaid, well-formed SVG, and nothing of a document taken for markup."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML
from stagedoor.cli import main
from stagedoor.graph import build, mermaid, svg

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMED = os.environ.get("STAGEDOOR_SHARED")
FOLDERS = [Path(NAMED)] if NAMED else [folder / "shared" for folder in ROOT.parents]
EXAMPLES = next((path for folder in FOLDERS if (path := folder / "ows/examples").is_dir()), None)
HEAD = {"dsl": "1.0.3", "namespace": "t", "name": "t", "version": "1.0.0"}


def load(path: Path) -> object:
    return YAML(typ="safe", pure=True).load(path.read_text())


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_chart_of_a_document_is_as_kept(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["workflow", "graph", str(path)]) == 0
    kept = path.with_suffix(".mmd")
    found = capsys.readouterr().out
    if os.environ.get("REGENERATE"):
        kept.write_text(found)
    assert found == kept.read_text()


@pytest.mark.skipif(EXAMPLES is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")
def test_every_example_of_the_specification_can_be_drawn() -> None:
    assert EXAMPLES is not None
    for path in sorted(EXAMPLES.glob("*.yaml")):
        graph = build(load(path))
        names = [step.name for step in graph.steps()]
        root = ElementTree.fromstring(svg(graph))
        titles = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        assert all(any(title and title.startswith(name[:47]) for title in titles) for name in names), path.name
        chart = mermaid(graph)
        assert len(re.findall(r"^ +s\d+[\[{(]", chart, re.MULTILINE)) == len(names), path.name


def test_nothing_of_a_document_is_taken_for_markup() -> None:
    evil = '"];<script>alert(1)</script> & `x` #quot; \n end'
    graph = build({"document": HEAD, "do": [{evil: {"set": {evil: 1}, "if": evil}}]})
    assert "<script>" not in svg(graph)
    ElementTree.fromstring(svg(graph))
    chart = mermaid(graph)
    assert "<script>" not in chart
    [line] = [line for line in chart.splitlines() if line.startswith("  s0") and "-->" not in line]
    assert line.count('"') == 2
    assert line.endswith('"]')


def test_what_an_execution_did_is_shown() -> None:
    document = load(HERE / "shapes.yaml")
    entry = {"task": "/do/1/loop/do/0/look", "name": "look", "kind": "call", "attempt": 1, "outcome": "completed"}
    timeline = [
        {**entry, "at": 10.0, "until": 10.25},
        {**entry, "at": 11.0, "until": 12.0, "outcome": "failed", "error": {"status": 503, "title": "No answer"}},
    ]
    graph = build(document, timeline, "faulted")
    assert "failed ×2 · 1.2 s<br/>503 No answer" in mermaid(graph)
    assert re.search(r"class s\d+ failed", mermaid(graph))
    picture = svg(graph)
    assert "· faulted</text>" in picture
    assert 'class="box failed"' in picture


def test_the_format_follows_the_name_of_the_output(tmp_path: Path) -> None:
    for name, start in (("out.svg", "<svg"), ("out.mmd", "flowchart"), ("out", "flowchart")):
        assert main(["workflow", "graph", str(HERE / "shapes.yaml"), "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(start)
