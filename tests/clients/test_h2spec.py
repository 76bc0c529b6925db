"""h2spec, the conformance tests of HTTP/2 (RFC 9113) and HPACK (RFC 7541): every case, the strict ones too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, program


@pytest.fixture(scope="session")
def h2spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from `tests/h2spec`."""
    built = tmp_path_factory.mktemp("h2spec") / "h2spec"
    command = [program("go"), "build", "-mod=readonly", "-o", str(built), "."]
    done = subprocess.run(command, cwd=ROOT / "tests" / "h2spec", capture_output=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    return built


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("listener", "arguments"),
    # On a port that speaks HTTP/1.1 too, what begins with an invalid preface is an HTTP/1.1 request, and answered.
    [("h2c", []), ("tls", ["-tls"])],
    ids=["h2c", "tls"],
)
def test_no_case_of_h2spec_fails(h2spec: Path, doors: dict[str, str], listener: str, arguments: list[str]) -> None:
    port = doors[listener].rpartition(":")[2]
    command = [str(h2spec), f"-port={port}", "-path=/echo", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    report = done.stdout.decode()
    assert done.returncode == 0, report.partition("Failures:")[2] or report
    assert "146 tests, 146 passed, 0 skipped, 0 failed" in report
