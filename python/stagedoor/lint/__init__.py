"""What a right workflow may still get wrong: undos that are missing or lack arguments, requests that are made twice,
tasks that are never reached, names that no schema knows. All of it are warnings."""

from stagedoor.errors import Problem
from stagedoor.lint.arguments import arguments
from stagedoor.lint.messages import messages
from stagedoor.lint.names import names
from stagedoor.lint.operation import operations
from stagedoor.lint.reach import unreachable
from stagedoor.lint.saga import uncompensated
from stagedoor.workflow.definition import Definition

__all__ = ["lint"]


def lint(definition: Definition) -> list[Problem]:
    """In the order of the document, each located by its path."""
    document = definition.document
    found = [
        *uncompensated(document, operations(definition)),
        *arguments(document),
        *unreachable(document),
        *names(document),
        *messages(definition),
    ]
    return sorted(found, key=lambda problem: [str(step).rjust(8) for step in problem.path])
