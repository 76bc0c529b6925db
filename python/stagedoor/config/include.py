"""The file and all that it includes, as one document."""

from __future__ import annotations

import glob
from collections.abc import Mapping as Environment
from dataclasses import dataclass, field
from pathlib import Path

from stagedoor.config.node import Mapping, Node, Place, Scalar, Sequence, Source
from stagedoor.config.problem import Located, did_you_mean
from stagedoor.config.read import MAX_BYTES, Unreadable, read
from stagedoor.config.substitute import Substitution
from stagedoor.config.validate import NAMED

MAX_FILES = 10_000
"""Files that one configuration may consist of."""


@dataclass(slots=True)
class Reader:
    """Reads files once, and remembers them and what is wrong with them."""

    environment: Environment[str, str]
    problems: list[Located] = field(default_factory=list)
    files: dict[Path, Mapping | None] = field(default_factory=dict)
    incomplete: bool = False
    """A part could not be read, so names may be missing."""
    unresolved: set[tuple[str | int, ...]] = field(default_factory=set)
    """Paths of values whose reference names nothing."""
    substitution: Substitution = field(init=False)

    def __post_init__(self) -> None:
        self.substitution = Substitution(self.environment)

    def root(self, path: Path) -> Mapping | None:
        """The document with its includes merged and its references replaced; None if it is not even a map."""
        root = self.mapping(path, Place(Source(path, shown(path), ""), 1, 1))
        if root is not None:
            missing = self.substitution.apply(root)
            self.unresolved = {problem.path for problem in missing}
            self.problems += missing
        return root

    def node(self, path: Path, origin: Place, at: tuple[str | int, ...] = ()) -> Node | None:
        """One file's document. ``origin`` and ``at`` are who asks for it."""
        text = self.text(path, origin, at)
        if text is None:
            return None
        try:
            node, problems = read(Source(path, shown(path), text))
        except Unreadable as unreadable:
            self.problems.append(unreadable.problem)
            return None
        self.problems += problems
        return node

    def text(self, path: Path, origin: Place, at: tuple[str | int, ...] = ()) -> str | None:
        """One file, whatever it holds, as UTF-8 text."""
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            reason = error.strerror or "not a file"
            self.problems.append(Located(origin, at, f"the file '{shown(path)}' cannot be read: {reason}"))
            return None
        if len(content) > MAX_BYTES:
            self.problems.append(Located(origin, at, f"the file '{shown(path)}' is larger than {MAX_BYTES >> 20} MiB"))
            return None
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = content[: error.start].decode(errors="replace")
            place = Place(Source(path, shown(path), ""), before.count("\n") + 1, len(before) - before.rfind("\n"))
            self.problems.append(Located(place, (), "not UTF-8 text"))
            return None

    def mapping(self, path: Path, origin: Place, at: tuple[str | int, ...] = ()) -> Mapping | None:
        """A configuration file with its includes merged into it."""
        self.files[path] = None
        node = self.node(path, origin, at)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.value is None:
            node = Mapping(node.place)
        if not isinstance(node, Mapping):
            self.problems.append(
                Located(node.place, (), "expected a map of sections, such as 'listeners' and 'routes'")
            )
            return None
        self.files[path] = node
        for index, item in enumerate(self.globs(node, "include")):
            for file in self.matches(item, ("include", index), "include"):
                if file not in self.files:
                    included = self.mapping(file, item.place, ("include", index))
                    if included is not None:
                        self.merge(node, included)
                    else:
                        self.incomplete = True
        node.entries.pop("include", None)
        return node

    def globs(self, node: Mapping, key: str) -> list[Scalar]:
        """The texts of a list of globs."""
        value = node.entries.get(key)
        if value is None:
            return []
        items = value.items if isinstance(value, Sequence) else []
        texts = [item for item in items if isinstance(item, Scalar) and isinstance(item.value, str)]
        if key == "include" and (not isinstance(value, Sequence) or len(texts) < len(items)):
            self.problems.append(
                Located(node.keys[key], (key,), "expected a list of globs, for example [routes/*.yaml]")
            )
        return texts

    def matches(self, item: Scalar, at: tuple[str | int, ...], key: str) -> list[Path]:
        """The files that a glob names, sorted. A name without wildcards must exist."""
        if key == "include":
            # Not yet replaced: what is included must be known before the whole is.
            self.problems += self.substitution.apply(item)
        pattern, folder = str(item.value), item.place.source.path.parent
        found = sorted(Path(folder, name).resolve() for name in glob.iglob(pattern, root_dir=folder, recursive=True))
        files = [path for path in found if path.is_file()]
        if len(self.files) + len(files) > MAX_FILES:
            self.problems.append(Located(item.place, at, f"more than {MAX_FILES:,} files"))
            return []
        if not files and not glob.has_magic(pattern):
            near = did_you_mean(pattern, self.neighbours(folder / pattern))
            self.problems.append(Located(item.place, at, f"the file '{pattern}' does not exist", near))
        elif not files:
            self.problems.append(Located(item.place, at, f"no file matches '{pattern}'", severity="warning"))
        return files

    def neighbours(self, path: Path) -> list[str]:
        try:
            names = [each.name for each in path.parent.iterdir()]
        except OSError:
            return []
        return [str(Path(path.parent.name, name)) if path.parent.name else name for name in names] + names

    def merge(self, into: Mapping, other: Mapping) -> None:
        """Named things side by side, lists of globs one after the other; everything else may be given once."""
        for key, value in other.entries.items():
            place = other.keys[key]
            ours = into.entries.get(key)
            if ours is None:
                into.entries[key], into.keys[key] = value, place
            elif key in NAMED and isinstance(ours, Mapping) and isinstance(value, Mapping):
                for name, entry in value.entries.items():
                    if name in ours.entries:
                        self.twice(value.keys[name], (key, name), ours.keys[name])
                    else:
                        ours.entries[name], ours.keys[name] = entry, value.keys[name]
            elif key == "workflows" and isinstance(ours, Sequence) and isinstance(value, Sequence):
                ours.items.extend(value.items)
            else:
                self.twice(place, (key,), into.keys[key])

    def twice(self, place: Place, path: tuple[str | int, ...], first: Place) -> None:
        where = f"{first.source.name}:{first.line}:{first.column}"
        self.problems.append(Located(place, path, f"'{path[-1]}' is given twice: here and at {where}"))


def shown(path: Path) -> str:
    """Relative to the working directory where it is below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
