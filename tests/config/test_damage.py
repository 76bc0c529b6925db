from __future__ import annotations

import random
from pathlib import Path

from stagedoor.config import check

CASES = sorted((Path(__file__).parent / "cases").glob("*/in.yaml"))
PIECES = [
    *"{}[]:\"'-?|>%@#&*!\t\n\x07é", ": ", "  ", "- ", "null", "true", "-1", "1e999", ".nan", "0x1F", "9" * 200,
    "&a ", "*a", "!!int ", "<<: *a\n", "${", "$${", "${env:X}", "${file:/}", "a: b", "---\n",
]  # fmt: skip


def test_a_damaged_file_yields_located_problems_and_never_an_exception(tmp_path: Path) -> None:
    chance = random.Random(5)
    file = tmp_path / "in.yaml"
    for _ in range(400):
        text = chance.choice(CASES).read_bytes().decode(errors="replace")
        for _ in range(chance.randint(1, 4)):
            start = chance.randrange(len(text) + 1)
            text = text[:start] + chance.choice(PIECES) + text[start + chance.choice([0, 0, 1, 3, 10]) :]
        file.write_text(text)
        report = check(file, {"WEB_KEY": "s3cret-k3y"})
        assert report.configuration is not None or report.errors, text
        for problem in report.problems:
            assert problem.place.line > 0, text
            assert problem.place.column > 0, text
            assert "s3cret-k3y" not in str(problem), text
