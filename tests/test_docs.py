"""Whatever a user can write, type or get as an error is documented."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pytest
from reference import MARK, filled, properties
from ruamel.yaml import YAML
from stagedoor import _core, config
from stagedoor.cli import COMMANDS, parser
from stagedoor.config.schema import options, schema
from stagedoor.policies import Policies

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [DOCS / "config.md", *sorted((DOCS / "policies").rglob("*.md"))]


def all_docs() -> str:
    return "\n".join(page.read_text() for page in DOCS.rglob("*.md"))


POLICIES = {field.alias or name for name, field in Policies.model_fields.items()}


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_policy_has_a_page_of_its_name(policy: str) -> None:
    text = (DOCS / "policies" / f"{policy}.md").read_text()
    assert text.startswith(f"# {policy}\n")
    assert "```yaml" in text, "an example"


def test_every_page_of_a_policy_is_about_one_that_exists() -> None:
    assert {page.stem for page in (DOCS / "policies").glob("*.md")} == POLICIES


@pytest.mark.parametrize("model", ["Settings", *schema()["$defs"]])
def test_the_options_of_every_model_have_a_table(model: str) -> None:
    marked = [mark[1] for page in PAGES for mark in MARK.finditer(page.read_text())]
    assert marked.count(model) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tables_say_what_the_models_say(page: Path) -> None:
    """``REGENERATE=1 pytest tests/test_docs.py`` makes them anew."""
    if os.environ.get("REGENERATE"):
        page.write_text(filled(page.read_text()))
    assert page.read_text() == filled(page.read_text())


@pytest.mark.parametrize(("model", "key"), [(model, key) for model, key, _ in options()])
def test_every_option_says_what_it_means(model: str, key: str) -> None:
    option = properties(model)[key]
    assert option.get("description") or "$ref" in option


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`stagedoor {command}" in all_docs()


def test_every_option_of_a_command_is_documented() -> None:
    [commands] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    text = all_docs()
    for name, command in commands.choices.items():
        for action in command._actions:
            long = [option for option in action.option_strings if option.startswith("--") and option != "--help"]
            assert not long or any(option in text for option in action.option_strings), f"{name} {long}"


@pytest.mark.parametrize(("code", "status", "title"), _core.error_kinds())
def test_every_kind_of_error_has_a_heading_with_its_status(code: str, status: int, title: str) -> None:
    sections = re.split(r"^## ", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    [section] = [section for section in sections if section.startswith(f"{code}\n")]
    assert section.splitlines()[1].startswith(str(status))
    assert "**Fault:**" in section


def test_every_heading_of_the_errors_is_a_kind() -> None:
    headings = re.findall(r"^## (\S+)$", (DOCS / "errors.md").read_text(), flags=re.MULTILINE)
    assert set(headings) == {code for code, _, _ in _core.error_kinds()}


def test_every_scheme_has_a_page_of_its_name_and_every_page_is_of_one() -> None:
    pages = {page.stem: page.read_text() for page in (DOCS / "policies" / "authenticate").glob("*.md")}
    assert set(pages) == set(properties("Scheme"))
    for name, text in pages.items():
        assert text.startswith(f"# {name}\n")
        assert "```yaml" in text, "an example"


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.rglob("*.md"):
        for target, anchor in re.findall(r"\]\(([\w./-]+\.md)?(#[\w-]+)?\)", page.read_text()):
            other = (page.parent / target).resolve() if target else page
            assert other.exists(), f"{page}: {target}"
            headings = {
                re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
                for title in re.findall(r"^#+ (.+)$", other.read_text(), flags=re.MULTILINE)
            }
            assert not anchor or anchor[1:] in headings, f"{page.name}: {target}{anchor}"


def test_every_page_is_found_from_the_readme() -> None:
    root = DOCS.parent
    found: set[Path] = set()
    left = [root / "README.md"]
    while left:
        page = left.pop()
        assert page.exists(), page
        if page in found:
            continue
        found.add(page)
        if page.suffix == ".md":
            left += [(page.parent / target).resolve() for target in re.findall(r"\]\(([\w./-]+)[)#]", page.read_text())]
    assert {page for page in DOCS.rglob("*.md") if page.parent.name != "adr"} <= found


def test_the_configuration_of_the_guide_is_right(tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(.+?)```", (DOCS / "choose_authentication.md").read_text(), flags=re.DOTALL)
    (tmp_path / "stagedoor.yaml").write_text(text)
    assert config.check(tmp_path / "stagedoor.yaml").problems == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("from_*.md")), ids=lambda page: page.stem)
def test_the_configurations_of_a_page_for_those_who_come_from_elsewhere_are_right(page: Path, tmp_path: Path) -> None:
    for text in re.findall(r"```yaml\n(.+?)```", page.read_text(), flags=re.DOTALL):
        if "listeners:" in text:
            (tmp_path / "stagedoor.yaml").write_text(text)
            assert [str(problem) for problem in config.check(tmp_path / "stagedoor.yaml").problems] == []


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_the_example_of_a_policy_is_right(policy: str, tmp_path: Path) -> None:
    """The first of its page, with the listener, the route and the clusters that it leaves out."""
    [text, *_] = re.findall(r"```yaml\n(.+?)```", (DOCS / "policies" / f"{policy}.md").read_text(), flags=re.DOTALL)
    written = YAML(typ="safe").load(text)
    defaults = {"authenticate": {"any": ["api_key"]}}
    alone = {"one": {"policies": written.pop("policies", {})}} if "routes" not in written else written["routes"]
    for route in alone.values():
        route.setdefault("match", {"path": "/{rest...}"})
        route.setdefault("target", {"response": {"status": 200}})
    clusters = {name: {"endpoints": ["http://127.0.0.1:9101"]} for name in re.findall(r"cluster: ([a-z_-]+)", text)}
    whole = {"listeners": {"public": {"bind": "127.0.0.1:0"}}, "policies": defaults} | written
    whole |= {"clusters": clusters | written.get("clusters", {}), "routes": alone}
    with (tmp_path / "stagedoor.yaml").open("w") as file:
        YAML().dump(whole, file)
    environment = {name: f"value-of-{name}" for name in re.findall(r"\$\{env:([A-Z_]+)", text)}
    problems = config.check(tmp_path / "stagedoor.yaml", environment).problems
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
