"""Executions are found by an index, whatever is asked, and page by page."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from stagedoor.engine import search, store
from stagedoor.engine.event_log import Append
from stagedoor.engine.search import Query, Search, earliest, find
from stagedoor.engine.statement import Start, write

BEGIN = 1_800_000_000.0
ENDS = ("completed", "completed", "faulted", "cancelled", "running", "suspended")
EVENTS = {"completed": "ExecutionCompleted", "faulted": "ExecutionFaulted", "cancelled": "ExecutionCancelled"}


def id_of(number: int, at: float) -> str:
    return f"{earliest(at)}-7000-8000-{number:012x}"


def started(number: int) -> list[Append]:
    """An execution a second, of two workflows in two versions, for three consumers, with every end."""
    at, status = BEGIN + number, ENDS[number % len(ENDS)]
    workflow, version = f"shop/{'ab'[number % 2]}", f"1.0.{number % 4 // 2}"
    consumer = (None, "web", "app")[number % 3]
    origin = id_of(0, BEGIN) if number in (4, 5) else None
    start = Start(workflow, version, f"hash {version}", "door", consumer, origin=origin, heir=number == 4)
    values = {"order": number % 10, "vip": number % 2 == 0, "sku": f"sku-{number}"}
    execution = id_of(number, at)
    begun = Append(execution, 0, "ExecutionStarted", at, "{}", start=start, attributes=values)
    if status == "running":
        return [begun]
    if status == "suspended":
        return [begun, Append(execution, 1, "IncidentOpened", at + 1, "{}", status=status, incidents=number % 12 // 6)]
    return [begun, Append(execution, 1, EVENTS[status], at + 100 - number % 7, "{}", status=status)]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = store.connect(tmp_path_factory.mktemp("search") / "store.db")
    for number in range(120):
        write(connection, started(number), 0)
    yield connection
    connection.close()


SEARCHES = [
    Search(),
    Search(workflow="shop/a"),
    Search(workflow="shop/a", version="1.0.0"),
    *(Search(status=status) for status in ("open", *dict.fromkeys(ENDS))),
    Search(workflow="shop/a", status="faulted"),
    Search(workflow="shop/b", version="1.0.1", status="completed", consumer="web"),
    Search(consumer="web"),
    Search(consumer="app", status="open"),
    Search(incident=True),
    Search(incident=False, workflow="shop/b"),
    Search(started_from=BEGIN + 20, started_to=BEGIN + 30),
    Search(workflow="shop/b", started_from=BEGIN + 60.5),
    Search(ended_from=BEGIN + 120),
    Search(ended_from=BEGIN + 120, ended_to=BEGIN + 150, workflow="shop/a", consumer="web"),
    Search(ended_to=BEGIN + 110, status="faulted"),
    Search(ended_from=BEGIN + 110, started_to=BEGIN + 50),
    Search(origin=id_of(0, BEGIN)),
    Search(origin=id_of(0, BEGIN), status="open"),
    Search(attributes=(("order", "7"),)),
    Search(attributes=(("vip", "true"), ("order", "2")), status="completed"),
    Search(attributes=(("sku", "sku-17"),), consumer="app", started_from=BEGIN),
    Search(attributes=(("order", "nothing"),)),
]


def wanted(asked: Search, number: int) -> bool:
    """The same in plain words."""
    at, status = BEGIN + number, ENDS[number % len(ENDS)]
    ended = None if status in ("running", "suspended") else at + 100 - number % 7
    values = {"order": str(number % 10), "vip": "false" if number % 2 else "true", "sku": f"sku-{number}"}
    incident = status == "suspended" and number % 12 // 6 == 1
    return (
        asked.workflow in (None, f"shop/{'ab'[number % 2]}")
        and asked.version in (None, f"1.0.{number % 4 // 2}")
        and asked.status in (None, status, *(["open"] if ended is None else []))
        and asked.consumer in (None, (None, "web", "app")[number % 3])
        and asked.incident in (None, incident)
        and (asked.origin is None or number in (4, 5))
        and (asked.started_from is None or at >= asked.started_from)
        and (asked.started_to is None or at < asked.started_to)
        and (asked.ended_from is None or (ended is not None and ended >= asked.ended_from))
        and (asked.ended_to is None or (ended is not None and ended < asked.ended_to))
        and all(values.get(name) == text for name, text in asked.attributes)
    )


def pages(connection: sqlite3.Connection, asked: Search, limit: int) -> Iterator[list[str]]:
    before = None
    while True:
        found = find(connection, asked, before, limit)
        yield [row.id for row, _ in found.rows]
        before = found.next
        if before is None:
            return


@pytest.mark.parametrize("scan", [7, search.SCAN])
@pytest.mark.parametrize("asked", SEARCHES, ids=repr)
def test_every_search_finds_all_that_meets_it_page_by_page(
    asked: Search, scan: int, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SCAN", scan)
    expected = {id_of(number, BEGIN + number) for number in range(120) if wanted(asked, number)}
    for limit in (1, 7, 500):
        found = list(pages(connection, asked, limit))
        listed = list(itertools.chain(*found))
        assert len(listed) == len(set(listed))
        assert set(listed) == expected
        assert all(len(page) <= limit for page in found)
        if not Query(asked, None).ends:
            assert listed == sorted(listed, reverse=True)


@pytest.mark.parametrize("before", [None, "018bcfe5-6800-7000-8000-000000000000"])
@pytest.mark.parametrize("asked", SEARCHES, ids=repr)
def test_every_search_is_led_by_an_index_and_sorts_nothing(
    asked: Search, before: str | None, connection: sqlite3.Connection
) -> None:
    query = Query(asked, f"{BEGIN}_{before}" if before and Query(asked, None).ends else before)
    last = (BEGIN, "0") if query.ends else ("0",)
    for statement, values in (query.look(), query.page(50, last)):
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert not [step for step in plan if "TEMP B-TREE" in step], plan
        # All that an index of a few holds, or all there are, newest first: what is looked at is bounded.
        whole = [step for step in plan if step.startswith("SCAN ")]
        few = [["SCAN execution USING INDEX execution_open"], ["SCAN execution USING INDEX execution_incident"]]
        everything = asked in (Search(), Search(status="completed"))
        assert whole in [[], *few, *([["SCAN execution"]] if everything else [])], plan


def test_attributes_come_back_as_they_were_set(connection: sqlite3.Connection) -> None:
    values: dict[str, Any] = {"a": 1, "b": 1.5, "c": 1e300, "d": False, "e": "17", "f": "ü \x00", "g": -0.0, "h": 2**70}
    start = Start("shop/c", "1.0.0", "hash", "door")
    write(connection, [Append("e1", 0, "ExecutionStarted", BEGIN, "{}", start=start, attributes=values)], 0)
    found = search.attributes(connection, ["e1", "other"])["e1"]
    assert found == values
    assert [type(value) for value in found.values()] == [int, float, int, bool, str, str, int, int]
    write(connection, [Append("e1", 1, "AttributesSet", BEGIN, "{}", attributes={"a": None, "e": "18"})], 0)
    found = search.attributes(connection, ["e1"])["e1"]
    assert (found["e"], "a" in found) == ("18", False)
    connection.execute("DELETE FROM execution WHERE id = 'e1'")
    connection.execute("DELETE FROM attribute WHERE execution = 'e1'")


def test_a_store_of_an_earlier_version_is_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old = sqlite3.connect(path)
    for step in store.STEPS[:2]:
        old.executescript(files("stagedoor.engine").joinpath(step).read_text())
    old.execute("INSERT INTO schema_version VALUES (2)")
    for id, status in (("e1", "completed"), ("e2", "suspended"), ("e3", "running")):
        row = (id, "shop/a", "1.0.0", "hash", status, "door", None, None, None, 1.0)
        old.execute(f"INSERT INTO execution VALUES ({','.join('?' * 10)})", row)
    events = [
        *(("e1", 0, "ExecutionStarted", 1.0, {}), ("e1", 1, "ExecutionCompleted", 7.0, {})),
        *(("e2", 0, "ExecutionStarted", 1.0, {}), ("e2", 1, "IncidentOpened", 2.0, {"incident": "a"})),
        *(("e2", 2, "IncidentResolved", 3.0, {"incident": "a"}), ("e2", 3, "IncidentOpened", 4.0, {"incident": "b"})),
        ("e3", 0, "ExecutionStarted", 1.0, {}),
    ]
    old.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", [(*each[:4], json.dumps(each[4])) for each in events])
    old.commit()
    old.close()
    connection = store.connect(path)
    rows = {row.id: row for row, _ in find(connection, Search(), None, 10).rows}
    assert {id: (row.ended, row.incidents) for id, row in rows.items()} == {
        "e1": (7.0, 0),
        "e2": (None, 1),
        "e3": (None, 0),
    }
    connection.close()
