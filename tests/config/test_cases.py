"""A case is a folder: ``in.yaml``, and beside it what must come of it: ``snapshot.json`` or ``errors.txt``.

A case whose configuration is right but deserves a warning has both. ``REGENERATE=1 pytest tests/config/test_cases.py``
writes what comes out now; read the diff before you commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from stagedoor.config import check, compile

CASES = Path(__file__).parent / "cases"
KEY = "s3cret-k3y-0f-web"
ENVIRONMENT = {
    "WEB_KEY": KEY,
    "PAGE": KEY + "-page",
    "ADMIN_TOKEN": KEY + "-of-the-admin",
    "EMPTY": "",
    "HOST": "s3cret.host.example",
    "CLUSTER": "s3cret-cluster",
}


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_a_configuration_becomes_what_its_case_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CASES / name
    monkeypatch.chdir(folder)
    report = check("in.yaml", ENVIRONMENT)
    found = {"errors.txt": "".join(f"{problem}\n" for problem in report.problems).replace(str(folder), "FOLDER")}
    if report.configuration is not None:
        snapshot = json.dumps(compile(report.configuration), indent=2, ensure_ascii=False) + "\n"
        found["snapshot.json"] = snapshot.replace(str(folder), "FOLDER")
    found = {file: text for file, text in found.items() if text}
    for text in found.values():
        assert "s3cret" not in text, "a value of the environment or of a file is shown"
    if os.environ.get("REGENERATE"):
        for file in ("errors.txt", "snapshot.json"):
            (folder / file).unlink(missing_ok=True)
        for file, text in found.items():
            (folder / file).write_text(text)
    expected = {
        file.name: file.read_text() for file in folder.iterdir() if file.name in ("errors.txt", "snapshot.json")
    }
    assert found == expected


def test_there_are_at_least_fifty_broken_configurations() -> None:
    broken = [case for case in CASES.iterdir() if (case / "errors.txt").exists()]
    assert len(broken) >= 50
