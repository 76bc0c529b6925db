"""pytest: files ``*.test.yaml`` with workflows and cases are collected, and tests in Python have the fixture
``workflow``.

pytest loads this wherever the package is installed, so it imports the machine only when there is something to play.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stagedoor.testing import Case, Difference, Outcome
    from stagedoor.workflow.definition import Definition

Json = Any
SUFFIX = ".test.yaml"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stagedoor")
    group.addoption(
        "--crash-everywhere",
        action="store_true",
        help="repeat each case of a workflow with a crash after every event",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name.endswith(SUFFIX):
        collected: pytest.Collector = File.from_parent(parent, path=file_path)
        return collected
    return None


class File(pytest.File):
    """A file of cases."""

    def collect(self) -> Iterator[pytest.Item]:
        from stagedoor.config import InvalidConfiguration
        from stagedoor.testing import read_cases

        try:
            file = read_cases(self.path)
        except InvalidConfiguration as invalid:
            raise self.CollectError("\n".join(str(problem) for problem in invalid.problems)) from None
        for case in file.cases:
            yield Item.from_parent(self, name=case.name, definition=file.definition, case=case)


class Item(pytest.Item):
    """One case."""

    def __init__(self, *, definition: Definition, case: Case, **others: Any) -> None:
        super().__init__(**others)
        self._definition, self._case = definition, case

    def runtest(self) -> None:
        from stagedoor.testing import check, rehearse, rehearse_with_crashes

        outcome = rehearse(self._definition, self._case)
        _demand(check(self._case, outcome))
        if self.config.getoption("--crash-everywhere"):
            for number, differences in rehearse_with_crashes(self._definition, self._case, outcome):
                _demand(differences, f"with a crash after event {number}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, NotAsExpected):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


class NotAsExpected(AssertionError):
    """A case's outcome is not what it expects."""


def _demand(differences: list[Difference], when: str = "") -> None:
    if differences:
        lines = [when] if when else []
        for each in differences:
            found = "nothing" if each.missing else repr(each.found)
            lines.append(f"{each.where}: expected {each.wanted!r}, found {found}")
        raise NotAsExpected("\n".join(lines))


class Workflow:
    """Reads documents relative to the test's own file, and plays them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self,
        file: str,
        input: Json = None,
        *,
        answers: Mapping[str, Json] | None = None,
        compensations: Mapping[str, Json] | None = None,
        operator: list[Json] | None = None,
        cancel: Json = None,
        suspend: Json = None,
        events: list[Json] | None = None,
        at: float | None = None,
        crash_everywhere: bool = False,
    ) -> Outcome:
        """What came of it. Raises ``InvalidConfiguration``, ``InvalidCases``, ``RehearsalFailed``; with
        ``crash_everywhere`` ``NotAsExpected`` where a crash led to another outcome."""
        from stagedoor.config.workflows import read_workflow
        from stagedoor.testing import rehearse, rehearse_with_crashes
        from stagedoor.testing.case import given
        from stagedoor.testing.file import task_names

        definition, _ = read_workflow(self._folder / file)
        said = {
            "input": input,
            "answers": answers,
            "compensations": compensations,
            "operator": operator,
            "cancel": cancel,
            "suspend": suspend,
            "events": events,
        }
        case = given(file, said, sorted(set(task_names(definition.document))), at)
        outcome = rehearse(definition, case)
        if crash_everywhere:
            for number, differences in rehearse_with_crashes(definition, case, outcome):
                _demand(differences, f"with a crash after event {number}")
        return outcome


@pytest.fixture
def workflow(request: pytest.FixtureRequest) -> Workflow:
    """``workflow.run("order.yaml", {...}, answers={...})``: a document played with mocked services."""
    return Workflow(request.path.parent)
