"""Files with descriptors, and ``.proto`` files, that the policy ``translate`` names: those that are missing, and those
whose changes the gateway looks out for. What stands in them is for the data plane to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from stagedoor.config.node import Mapping, Scalar, find
from stagedoor.config.problem import Located
from stagedoor.config.problem import Path as Steps
from stagedoor.config.settings import Settings
from stagedoor.policies import Policies
from stagedoor.policies.translate import Translate
from stagedoor.policies.translate.descriptors import Descriptors

_IMPORT = re.compile(r"""^\s*import\s+(?:public\s+|weak\s+)?["']([^"'\n]{1,1000})["']\s*;""", re.MULTILINE)
MAX_FILES = 2000
"""Files that one policy imports."""
MAX_BYTES = 4 * 1024 * 1024
"""Of one ``.proto`` file that is looked into for imports."""


def descriptor_files(root: Mapping, settings: Settings, problems: list[Located]) -> frozenset[Path]:
    """All that there are; what is wrong goes to ``problems``."""
    folder = root.place.source.path.parent.resolve()
    files: set[Path] = set()
    for steps, descriptors in _descriptors(settings):
        if descriptors.file is not None:
            path = folder / descriptors.file
            files.add(path)
            if not path.is_file():
                problems.append(_missing(root, (*steps, "file"), f"there is no file '{descriptors.file}'"))
        elif descriptors.proto is not None:
            paths = [folder / each for each in descriptors.import_paths]
            for index, each in enumerate(paths):
                if not each.is_dir():
                    at: Steps = (*steps, "import_paths", index)
                    problems.append(_missing(root, at, f"there is no folder '{descriptors.import_paths[index]}'"))
            for index, name in enumerate(descriptors.proto):
                if _find(name, paths) is None:
                    at = (*steps, "proto", index)
                    problems.append(_missing(root, at, f"there is no file '{name}' in the import paths"))
            files |= _imported(list(descriptors.proto), paths)
    return frozenset(files)


def _descriptors(settings: Settings) -> Iterator[tuple[Steps, Descriptors]]:
    policies: list[tuple[Steps, Policies]] = [((), settings.policies)]
    policies += [(("routes", name), route.policies) for name, route in settings.routes.items()]
    for steps, each in policies:
        if isinstance(each.translate, Translate) and (found := each.translate.descriptors()) is not None:
            kind, descriptors = found
            yield (*steps, "policies", "translate", kind, "descriptors"), descriptors


def _imported(names: list[str], paths: list[Path]) -> set[Path]:
    """Those that exist: what is missing, the compiler tells."""
    found: dict[str, Path] = {}
    while names and len(found) < MAX_FILES:
        name = names.pop()
        path = _find(name, paths)
        if path is None or name in found:
            continue
        found[name] = path
        try:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES).decode(errors="replace")
        except OSError:
            continue
        names += _IMPORT.findall(text)
    return set(found.values())


def _find(name: str, paths: list[Path]) -> Path | None:
    return next((path / name for path in paths if (path / name).is_file()), None)


def _missing(root: Mapping, steps: Steps, message: str) -> Located:
    place, node = find(root, steps)
    return Located(node.place if isinstance(node, Scalar) else place, steps, message)
