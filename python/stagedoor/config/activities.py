"""Python functions that workflows may call: found in the modules that the configuration names, and in installed
packages that offer some."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from stagedoor.activity import Activity
from stagedoor.config.node import Node, find
from stagedoor.config.problem import Located
from stagedoor.config.problem import Path as At
from stagedoor.config.settings import Settings

GROUP = "stagedoor.activities"
"""Of entry points: each names a module or an activity."""
Activities = Mapping[str, Activity[..., Any]]


def load_activities(root: Node, settings: Settings, folder: Path) -> tuple[Activities, list[Located]]:
    """By name. Modules are looked for beside the configuration file, then as Python does; their code runs here."""
    found: dict[str, Activity[..., Any]] = {}
    problems: list[tuple[At, str]] = []
    names = settings.engine.activities.modules
    if names and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for index, name in enumerate(names):
        at: At = ("engine", "activities", "modules", index)
        try:
            module = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a user's module raises is told, with its place
            problems.append((at, f"the module '{name}' cannot be imported: {type(error).__name__}: {error}"))
            continue
        problems += [(at, message) for message in _take(found, _of(module), f"module '{name}'")]
        if not _of(module):
            problems.append((at, f"the module '{name}' has no activity"))
    for point in entry_points(group=GROUP):
        at = ("engine", "activities")
        if not settings.engine.activities.installed:
            break
        try:
            offered = point.load()
        except Exception as error:  # noqa: BLE001 - as above
            problems.append((at, f"the entry point '{point.name}' cannot be loaded: {type(error).__name__}: {error}"))
            continue
        each = _of(offered) if isinstance(offered, ModuleType) else [offered] if isinstance(offered, Activity) else []
        problems += [(at, message) for message in _take(found, each, f"entry point '{point.name}'")]
    return found, [Located(find(root, at)[0], at, message) for at, message in problems]


def _of(module: ModuleType) -> list[Activity[..., Any]]:
    return [value for value in vars(module).values() if isinstance(value, Activity)]


def _take(found: dict[str, Activity[..., Any]], offered: list[Activity[..., Any]], where: str) -> list[str]:
    wrong = []
    for each in offered:
        if found.setdefault(each.name, each) is not each:
            wrong.append(f"the activity '{each.name}' of {where} has a name that another one has")
    return wrong
