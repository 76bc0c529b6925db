"""When cron expressions come true, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from stagedoor.workflow.cron import parse


@pytest.mark.parametrize(
    ("expression", "after", "found"),
    [
        ("0 0 * * *", "2026-01-31T12:00", "2026-02-01T00:00"),
        ("*/15 * * * *", "2026-01-01T00:00", "2026-01-01T00:15"),
        ("*/15 * * * *", "2026-01-01T00:59", "2026-01-01T01:00"),
        ("5/20 8-10 * * *", "2026-01-01T10:46", "2026-01-02T08:05"),
        ("30 9 * * mon-fri", "2026-01-02T09:30", "2026-01-05T09:30"),
        ("0 12 1,15 * *", "2026-01-01T12:00", "2026-01-15T12:00"),
        ("0 6 * * sat-sun", "2026-01-03T06:00", "2026-01-04T06:00"),
        ("0 12 13 * fri", "2026-01-01T00:00", "2026-01-02T12:00"),
        ("0 0 29 feb ?", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 * * 7", "2026-01-01T00:00", "2026-01-04T00:00"),
        ("@hourly", "2026-12-31T23:30", "2027-01-01T00:00"),
        ("0 0 31 * *", "2026-01-31T00:00", "2026-03-31T00:00"),
    ],
)
def test_the_next_time_is_found(expression: str, after: str, found: str) -> None:
    at = parse(expression).next(datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp())
    assert at is not None
    assert datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M") == found


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("* * * *", "five fields"),
        ("0 0 0 * * *", "five fields"),
        ("60 * * * *", "expected 0 to 59"),
        ("* 5-3 * * *", "comes after"),
        ("*/0 * * * *", "a step"),
        ("0 0 30 feb *", "no such day"),
        ("0 0 * * someday", "is no day of the week"),
        ("-1 * * * *", "is no minute"),
        ("1,, * * * *", "is no minute"),
    ],
)
def test_what_is_no_cron_expression_is_refused(expression: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(expression)
