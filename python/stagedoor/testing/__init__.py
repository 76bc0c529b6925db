"""Workflows tried out without services: answers by task, a virtual clock, and a crash after every event if wanted.

``stagedoor workflow test`` runs files of cases; the pytest plugin collects the same files, and gives tests in Python
the fixture ``workflow``.
"""

from stagedoor.testing.case import Case, InvalidCases
from stagedoor.testing.check import Difference, check
from stagedoor.testing.crash import rehearse_with_crashes
from stagedoor.testing.file import CaseFile, read_cases
from stagedoor.testing.outcome import Outcome
from stagedoor.testing.rehearsal import RehearsalFailed, rehearse

__all__ = [
    "Case",
    "CaseFile",
    "Difference",
    "InvalidCases",
    "Outcome",
    "RehearsalFailed",
    "check",
    "read_cases",
    "rehearse",
    "rehearse_with_crashes",
]
