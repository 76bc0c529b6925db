"""Who may import whom, as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "python" / "stagedoor"

ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "_core": set(),
    "activity": {"errors"},
    "workflow": {"errors", "_core"},
    "policies": {"errors"},
    "config": {"errors", "activity", "policies", "workflow", "_core"},
    "notices": {"_core"},
    "engine": {"errors", "activity", "workflow", "notices", "_core"},
    "registry": {"errors", "config", "policies", "_core"},
    "identity": {"errors", "config", "notices", "_core"},
    "admin": {"errors"},
    "logs": set(),
    "watch": set(),
    "gateway": {"errors", "config", "engine", "admin", "admin_endpoint", "logs", "serving", "watch"},
    "admin_endpoint": {"config", "engine", "admin", "registry", "serving"},
    "serving": {"errors", "config", "logs", "notices", "orchestrator", "registry", "identity", "_core"},
    "orchestrator": {"errors", "config", "engine", "notices", "_core"},
    "once": {"errors", "config", "notices", "orchestrator", "_core"},
    "demo": {"errors"},
    "graph": {"workflow"},
    "lint": {"errors", "config", "workflow", "_core"},
    "portable": {"errors", "workflow"},
    "testing": {"errors", "config", "engine", "workflow", "_core"},
    "pytest_plugin": {"config", "testing", "workflow"},
    "cli": {
        "errors",
        "gateway",
        "config",
        "policies",
        "engine",
        "workflow",
        "graph",
        "lint",
        "portable",
        "testing",
        "once",
        "_core",
        "demo",
    },
}
"""Part → the other parts of the package that it may import."""

LIBRARIES: dict[str, set[str]] = {
    "workflow": set(),
    "errors": set(),
    "policies": {"pydantic", "pydantic_core", "annotated_types"},
    "config": {"pydantic", "pydantic_core", "annotated_types", "yaml"},
    "engine": {"pydantic", "nats"},
    "portable": {"yaml"},
    "activity": {"pydantic"},
    "registry": {"pydantic"},
    "admin": {"aiohttp"},
    "logs": set(),
    "watch": set(),
    "gateway": set(),
    "demo": {"starlette", "uvicorn"},
    "pytest_plugin": {"pytest"},
    "cli": {"rich"},
}
"""Part → what it may import from outside; a part that is not here imports the standard library alone."""

MACHINE_STAYS_PURE = {
    *("asyncio", "threading", "time", "random", "secrets", "uuid", "socket", "http", "urllib", "subprocess", "signal"),
    *("os", "io", "pathlib", "sqlite3", "logging", "tempfile", "shutil", "selectors", "multiprocessing", "concurrent"),
}
"""Of the standard library: what would give the machine I/O, a clock or chance. ``http.HTTPStatus`` and ``urllib.parse``
are tables and text."""
PURE_NAMES = {"http.HTTPStatus", "urllib.parse"}


def parts() -> list[str]:
    return sorted({path.relative_to(PACKAGE).parts[0].split(".")[0] for path in PACKAGE.rglob("*.py*") if _ours(path)})


def _ours(path: Path) -> bool:
    return "__pycache__" not in path.parts


@cache
def imports(part: str) -> tuple[tuple[str, str], ...]:
    """(where, dotted name) of everything that a part imports, also inside functions."""
    return tuple(_imports(part))


def _imports(part: str) -> Iterator[tuple[str, str]]:
    files = [PACKAGE / f"{part}.py", PACKAGE / f"{part}.pyi", *(PACKAGE / part).rglob("*.py")]
    for file in filter(Path.exists, files):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            where = f"{file.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield where, alias.name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{where}: a relative import"
                for alias in node.names:
                    yield where, f"{node.module}.{alias.name}"


def test_every_part_of_the_package_has_its_place_here() -> None:
    assert set(parts()) - {"py"} == set(ALLOWED)


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    wrong = []
    for where, name in imports(part):
        first, *rest = name.split(".")
        if first == "stagedoor" and rest and rest[0] in ALLOWED and rest[0] not in ALLOWED[part] | {part}:
            wrong.append(f"{where}: {name}")
    assert not wrong


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_uses_only_the_libraries_that_are_its_own(part: str) -> None:
    known = {"stagedoor", *sys.stdlib_module_names, *LIBRARIES.get(part, ())}
    assert not [f"{where}: {name}" for where, name in imports(part) if name.split(".")[0] not in known]


def test_the_machine_has_no_io_no_clock_and_no_chance() -> None:
    wrong = []
    for where, name in imports("workflow"):
        pure = any(name == allowed or name.startswith(f"{allowed}.") for allowed in PURE_NAMES)
        if name.split(".")[0] in MACHINE_STAYS_PURE and not pure:
            wrong.append(f"{where}: {name}")
    assert not wrong


def test_the_machine_takes_nothing_but_what_is_pure_from_the_boundary() -> None:
    taken = {name for _, name in imports("workflow") if name.startswith("stagedoor._core")}
    assert taken <= {f"stagedoor._core.{name}" for name in ("Expression", "ExpressionError", "GrpcMethod", "Schema")}


def test_only_the_command_line_knows_the_example() -> None:
    assert [part for part in ALLOWED if "demo" in ALLOWED[part]] == ["cli"]


def test_no_file_is_named_for_being_a_heap() -> None:
    vague = {"utils", "util", "common", "core", "helpers", "helper", "managers", "manager", "misc"}
    assert not [path for path in PACKAGE.rglob("*.py") if _ours(path) and path.stem in vague]
