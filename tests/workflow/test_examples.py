"""The specification's example documents are run, or refused with the reason; never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from scenario import RESOURCES, SHARED
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.parse import parse

EXAMPLES = sorted((SHARED / "ows" / "examples").glob("*.yaml")) if SHARED else []
RUN = {
    *("call-http-endpoint-interpolation-shorthand", "call-http-endpoint-interpolation", "conditional-task"),
    *("call-custom-function-inline", "call-http-query-headers-expressions", "call-http-query-parameters"),
    *("call-http-redirect", "star-wars-homeworld"),
    *("emit", "for", "try-catch-then", "listen-to-all read-envelope", "listen-to-all", "listen-to-any-filter"),
    *("listen-to-any-forever-foreach", "listen-to-any-until-condition", "listen-to-any-until-consumed"),
    *("listen-to-any", "listen-to-one"),
    *("run-script-with-stdin-and-arguments", "run-shell-stdin-and-arguments", "run-subflow"),
    *("schedule-cron", "schedule-event-driven", "mock-service-extension", "set", "set-expression"),
    *("do-multiple", "do-single", "for-inline-array", "fork", "raise-inline", "raise-reusable", "switch-then-string"),
    *("try-catch-retry-inline", "try-catch-retry-reusable", "try-catch-then-directive", "try-catch"),
    *("wait-duration-inline", "wait-duration-iso8601"),
    *("authentication-bearer-uri-format", "authentication-bearer", "authentication-oauth2-secret"),
    *("authentication-oauth2", "authentication-oidc-secret", "authentication-oidc", "authentication-reusable"),
    *(
        "call-openapi",
        "call-openapi-redirect",
        "call-custom-function-cataloged",
        "call-grpc",
        "accumulate-room-readings",
    ),
}
"""What is supported; the rest needs something that is not."""
REASONS = ("not supported yet: ", "not supported: ", "containers are not run here")


@pytest.mark.skipif(SHARED is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_run_or_refused_with_the_reason(path: Path) -> None:
    document = YAML(typ="safe", pure=True).load(path.read_text())
    if path.stem in RUN:
        parse(document, RESOURCES)
        return
    with pytest.raises(InvalidDefinition) as refused:
        parse(document, RESOURCES)
    problems = [problem for problem in refused.value.problems if problem.severity == "error"]
    assert problems
    assert [problem for problem in problems if not problem.message.startswith(REASONS)] == []
    assert all(problem.path for problem in problems)
