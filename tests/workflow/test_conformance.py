"""The specification's conformance scenarios, unchanged, and ours beside them: what they are. ``test_scenarios`` runs
them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import feature
import pytest
from collection import FEATURES, kit, load_features
from scenario import SHARED
from test_scenarios import run

OURS = load_features(FEATURES)
needs_shared = pytest.mark.skipif(SHARED is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")


@needs_shared
def test_all_scenarios_of_the_kit_are_found() -> None:
    assert len(kit()) == 21


@needs_shared
def test_the_kit_s_credentials_reach_their_service() -> None:
    [case] = [case for name, case in kit() if "Basic Authentication" in name]
    driver = run(case)
    assert driver.scene is not None
    [request] = driver.scene.requests
    proof = base64.b64encode(b"serverless-workflow:conformance-test").decode()
    assert request["headers"]["authorization"] == f"Basic {proof}"


def test_there_are_enough_scenarios_of_our_own() -> None:
    assert len(OURS) >= 150
    assert len({name for name, _ in OURS}) == len(OURS)


@pytest.mark.parametrize("case", [case for _, case in OURS], ids=[name for name, _ in OURS])
def test_a_scenario_of_our_own_is_portable(case: dict[str, Any]) -> None:
    """It knows nothing of this gateway: no metadata, no clusters, no ids."""
    text = json.dumps(case)
    assert not re.search(r"stagedoor|cluster://|e1/", text)
    assert case["executed"]
    assert "status" in case


def test_every_phrase_of_our_own_is_explained() -> None:
    """The README shows each phrase once, in a line that the reader of features knows."""
    shown = re.findall(r"^(?:Given|And|Then|When) (?:given )?(.+)$", (FEATURES / "README.md").read_text(), re.MULTILINE)
    [first] = [
        number for number, (pattern, _) in enumerate(feature.STEPS) if pattern == "another workflow with definition:"
    ]
    for pattern, _ in feature.STEPS[first:]:
        assert any(re.fullmatch(pattern, phrase) for phrase in shown), pattern
