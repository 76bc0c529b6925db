"""All cases of the workflow language: ours in YAML, ours in Gherkin, and the specification's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import feature
from scenario import HERE, SHARED, load_folder

FEATURES = HERE / "features"
PET = {"id": 1, "name": "Milou", "status": "available"}
PUBLIC = {
    "GET https://petstore.swagger.io/v2/pet/findByStatus?status=available": [{"content": [PET]}],
    "GET https://petstore.swagger.io/v2/pet/1": [{"content": PET}],
    "GET https://petstore.swagger.io/v2/pet/2": [{"content": {**PET, "id": 2}}],
    "GET https://petstore.swagger.io/v2/pet/getPetByName/Milou": [{"status": 404, "content": None}],
    "GET https://httpbin.org/basic-auth/serverless-workflow/conformance-test": [{"content": {"authenticated": True}}],
}
"""What the public services answer that the kit's scenarios call."""


def load_features(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(id, case) for every scenario; the id is the file's stem and the scenario's name."""
    paths = sorted(folder.glob("*.feature"))
    return [(f"{path.stem}: {case['case']}", case) for path in paths for case in feature.read(path)]


def kit() -> list[tuple[str, dict[str, Any]]]:
    """The specification's, as they are, or none if its files are not here."""
    found = [] if SHARED is None else load_features(SHARED / "ows" / "ctk")
    return [(f"kit: {name}", {**case, "requests": PUBLIC}) for name, case in found]


def own() -> list[tuple[str, dict[str, Any]]]:
    return load_folder("cases") + load_features(FEATURES)
