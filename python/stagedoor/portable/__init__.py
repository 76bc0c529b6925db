"""A document without its metadata about undoing: what that says, said with ``try``, ``catch`` and ``raise`` alone, so
that any runtime of the specification can run it."""

from stagedoor.portable.lower import Portable, lower
from stagedoor.portable.text import write

__all__ = ["Portable", "lower", "write"]
