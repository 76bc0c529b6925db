"""A table says what was measured, and nothing of what was not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peer import chosen
from benchmarks.row import NotRun, Row, against, alternate, middle, table
from benchmarks.run import SUBJECTS
from benchmarks.target import Target
from benchmarks.target import against as ratio

ROOT = Path(__file__).parents[2]


def test_a_figure_is_the_median_and_a_comparison_is_made_within_each_round() -> None:
    nginx = Row("nginx", [{"cpu": 10}, {"cpu": 20}, {"cpu": 40}])
    door = Row("stagedoor", [{"cpu": 9}, {"cpu": 30}, {"cpu": 20}])
    columns = [middle("CPU", "cpu", ".1f"), against("nginx", "cpu")]
    assert table("proxy", [nginx, door], columns).splitlines() == [
        "| proxy | CPU | against nginx |",
        "|---|---|---|",
        "| nginx | 20.0 | 1.00× |",
        "| stagedoor | 20.0 | 0.90× |",
    ]


def test_what_did_not_run_has_its_reason_and_is_compared_with_nothing() -> None:
    nginx = Row("nginx", not_run="did not listen | within 20 s")
    door = Row("stagedoor", [{"cpu": 9}])
    lines = table("proxy", [nginx, door], [middle("CPU", "cpu", ".1f"), against("nginx", "cpu")]).splitlines()
    assert lines[2:] == ["| nginx | not run: did not listen ¦ within 20 s | |", "| stagedoor | 9.0 | – |"]


def test_a_failed_round_ends_its_row_and_no_other() -> None:
    turns: list[str] = []

    def trial(row: Row) -> dict[str, float]:
        turns.append(row.name)
        if row.name == "fragile" and len(turns) > 2:
            raise NotRun("3 of 7 requests failed")
        return {"cpu": 1}

    fragile, steady = Row("fragile"), Row("steady")
    alternate([fragile, steady], 3, trial, "cpu")
    assert turns == ["fragile", "steady"] * 2 + ["steady"] * 2
    assert fragile.not_run == "3 of 7 requests failed"
    assert len(steady.rounds) == 3


def test_a_line_of_a_configuration_can_be_for_some_variants_alone() -> None:
    text = "bind: 1\ntls: 2   #: tls\nhttp2: 3 #: tls h2c\n# a note\n"
    assert chosen(text, "plain") == "bind: 1\n# a note\n"
    assert chosen(text, "h2c") == "bind: 1\nhttp2: 3\n# a note\n"
    assert chosen(text, "tls") == "bind: 1\ntls: 2\nhttp2: 3\n# a note\n"


def test_a_target_is_met_missed_or_has_nothing_to_stand_on() -> None:
    rows = [Row("nginx", [{"cpu": 10}]), Row("stagedoor", [{"cpu": 9}]), Row("idle", not_run="did not listen")]
    share = ratio("nginx", "cpu")
    assert Target("CPU", share, "×", most=0.9).line(rows) == "- CPU ≤ 0.9×: 0.90×, **met**"
    assert Target("CPU", share, "×", most=0.85).line(rows) == "- CPU ≤ 0.85×: 0.90×, **missed**"
    assert Target("rate", lambda row, _: 1234.5, least=2200).line(rows) == "- rate ≥ 2,200: 1,234.50, **missed**"
    assert Target("CPU", share, row="idle", most=1).line(rows) == "- CPU ≤ 1: not run"
    assert Target("CPU", ratio("Envoy", "cpu"), most=1).line(rows) == "- CPU ≤ 1: nothing to compare with"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_is_described_and_has_room_for_its_table(subject: str) -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert text.count(f"<!-- {subject} -->") == text.count(f"<!-- /{subject} -->") == 1
    assert re.search(rf"^\| `{subject}` \| `{subject}\.py` \| .+ \|$", text, re.MULTILINE)


def test_a_subject_that_does_not_exist_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "proxies"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "no such subject: proxies" in done.stderr
