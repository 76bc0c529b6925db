"""What a task's metadata says of stored responses that are no longer true once one of its calls has succeeded."""

from __future__ import annotations

from stagedoor.workflow.place import Place

INVALIDATE = "stagedoor/invalidate"
MOST = 32
LONGEST = 128
"""Characters of a group's name, as in the policy ``cache``."""


def compile(metadata: Place) -> tuple[str, ...]:
    """Groups of the policy ``cache``."""
    if not isinstance(metadata.value, dict) or INVALIDATE not in metadata.value:
        return ()
    place = metadata.at(INVALIDATE)
    groups = place.value
    if not isinstance(groups, list) or not 0 < len(groups) <= MOST or not all(map(_is_group, groups)):
        place.problem(
            f"expected a list of 1 to {MOST} groups", f"a group's name is 1 to {LONGEST} characters of visible ASCII"
        )
        return ()
    return tuple(dict.fromkeys(groups))


def _is_group(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= LONGEST and all(" " <= char <= "~" for char in name)
