"""A workflow document as the machine runs it: typed, immutable, every expression compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from stagedoor.errors import Problem
from stagedoor.workflow.expression import Template

if TYPE_CHECKING:
    from stagedoor.workflow.attribute import Attributes
    from stagedoor.workflow.frame import Frame
    from stagedoor.workflow.retry import Duration, Retry
    from stagedoor.workflow.schedule import Schedule
    from stagedoor.workflow.schema import Schema

Json = Any
OnFailure = Literal["suspend", "continue", "fault"]
Mark = Literal["pivot", "irreversible"]
"""After a pivot nothing before it is undone; nothing undoes what is irreversible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all kinds have in common. ``None`` means that the document does not say it."""

    kind: ClassVar[str]
    frame: ClassVar[type[Frame]]
    hidden: ClassVar[bool] = False
    """True for lists that are not a task of their own, such as the body of a loop."""

    name: str
    reference: str
    """JSON pointer into the document; tasks inside a function hang below the task that calls it."""
    document: Json = None
    condition: Template | None = None
    input_from: Template | None = None
    output_as: Template | None = None
    export_as: Template | None = None
    input_schema: Schema | None = None
    """Of the raw input."""
    output_schema: Schema | None = None
    """Of the output as ``output_as`` leaves it."""
    export_schema: Schema | None = None
    timeout: Duration | None = None
    then: str = "continue"
    """``continue``, ``exit``, ``end`` or the name of a task in the same list."""
    compensation: Compensation | None = None
    mark: Mark | None = None
    saga: SagaPolicy | None = None
    """Of a list whose failure undoes what was done in it; None: it belongs to what is around it."""
    check: Check | None = None
    attributes: Attributes | None = None
    """Evaluated over its output, when it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How to find out whether a call whose answer is missing was carried out."""

    task: Task
    arguments: Template | None
    """Evaluated over the call's input; None passes that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """How a task is undone."""

    task: Task
    call: str
    """The name of the undo for people: the function, or what the inline task does."""
    arguments: Template | None
    """Evaluated over the forward task's output; None passes that output itself."""
    on_start: bool
    retry: Retry
    on_failure: OnFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaPolicy:
    parallel: bool = False
    """False: one undo after the other, the last completed task first."""
    on_failure: OnFailure = "suspend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    namespace: str
    name: str
    version: str
    document: Json
    hash: str
    """SHA-256, in hex, of the document as canonical JSON, and of all that it refers to."""
    root: Task
    saga: SagaPolicy = field(default_factory=SagaPolicy)
    input_from: Template | None = None
    output_as: Template | None = None
    attributes: Attributes | None = None
    """Evaluated over the input, at the start."""
    schedule: Schedule | None = None
    input_schema: Schema | None = None
    """Of what an execution is started with."""
    output_schema: Schema | None = None
    clusters: frozenset[str] = frozenset()
    """Clusters that its endpoints name."""
    hosts: frozenset[str] = frozenset()
    """``scheme://authority`` of its plain endpoints."""
    activities: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    """Python functions that it calls → where it first does so, as a path in the document."""
    secrets: frozenset[str] = frozenset()
    """Names of secrets that it may use."""
    secrets_of_schemes: frozenset[tuple[str, str]] = frozenset()
    """Secrets that hold the properties of an authentication, each with its scheme."""
    reached: frozenset[tuple[tuple[str | int, ...], str]] = frozenset()
    """Endpoints that do not stand in the document, as far as they are known before it runs, each with the path in it
    that they follow from."""
    grpc_hosts: frozenset[str] = frozenset()
    """``scheme://authority`` of plain hosts that are called by gRPC."""
    resources: Json = field(default_factory=dict, repr=False)
    """What the document refers to, by form and URI."""
    computed_endpoints: tuple[str, ...] = ()
    """References of calls whose endpoint is an expression: what they reach is known only when they run."""
    invalidates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Reference of a task → groups of stored responses that are no longer true once a call of it has succeeded."""
    listens: bool = False
    """Whether any of its tasks waits for events."""
    warnings: tuple[Problem, ...] = field(default=())
    addresses: list[Any] = field(default_factory=list, compare=False, repr=False)
    """Names of its parts, once anybody has asked for them: ``address.addresses``."""

    def invalidated_by(self, reference: str) -> set[str]:
        """What the task itself names, and those around it."""
        if not self.invalidates:
            return set()
        around = ((task, groups) for task, groups in self.invalidates.items() if f"{reference}/".startswith(f"{task}/"))
        return {group for _, groups in around for group in groups}

    @property
    def key(self) -> str:
        """``namespace/name``, as a route names it."""
        return f"{self.namespace}/{self.name}"
