"""Points in time as the configuration writes them."""

from __future__ import annotations

import datetime
import re
from typing import Annotated

from pydantic import AfterValidator

from stagedoor.policies.model import wrong

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


def is_time(value: str) -> bool:
    """Whether it is one of RFC 3339."""
    return _RFC3339.fullmatch(value) is not None and _exists(value)


def is_date(value: str) -> bool:
    """Whether it is such as ``2027-01-31``."""
    return _DATE.fullmatch(value) is not None and _exists(value)


def _exists(value: str) -> bool:
    try:
        datetime.datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        return False
    return True


def seconds(time: str) -> int:
    """A time of RFC 3339 in whole seconds since 1970; never later than it."""
    return max(0, int(datetime.datetime.fromisoformat(time).timestamp()))


def moment(value: str) -> int:
    """A ``Moment`` likewise."""
    return seconds(f"{value}T00:00:00Z" if is_date(value) else value)


def _time(value: str) -> str:
    if not is_time(value):
        raise wrong("expected a time such as 2027-01-31T00:00:00Z")
    return value


def _moment(value: str) -> str:
    if not is_date(value) and not is_time(value):
        raise wrong("expected a date such as 2027-01-31, or a time such as 2027-01-31T00:00:00Z")
    return value


Time = Annotated[str, AfterValidator(_time)]
"""Of RFC 3339."""
Moment = Annotated[str, AfterValidator(_moment)]
"""A date, which stands for its midnight in UTC, or a time of RFC 3339."""
