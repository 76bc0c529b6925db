"""Documents with mistakes: every mistake is told, with its place and a way out, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from scenario import document, load_folder
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.parse import parse

BROKEN = load_folder("broken")


@pytest.mark.parametrize("case", [case for _, case in BROKEN], ids=[name for name, _ in BROKEN])
def test_a_broken_document_is_refused_with_every_problem_located(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse(case["raw"] if "raw" in case else document(case))
    found = [problem for problem in refused.value.problems if problem.severity == "error"]
    told = [f"{'/'.join(map(str, problem.path))}: {problem.message} ({problem.hint})" for problem in found]
    assert len(found) == len(case["problems"]), told
    for wanted, problem in zip(case["problems"], found, strict=True):
        assert "/".join(map(str, problem.path)) == wanted["at"], told
        assert wanted["says"] in problem.message, told
        assert wanted.get("hint", "") in (problem.hint or ""), told
        assert not problem.message.endswith(".")
