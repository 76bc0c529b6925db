"""Lowering: the walk over a document's tasks."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

from stagedoor.errors import InvalidDefinition, Problem
from stagedoor.portable import fork, rethrow
from stagedoor.portable.expression import source, wrap
from stagedoor.portable.journal import WHOLE, Journal
from stagedoor.portable.losses import Losses, Path
from stagedoor.portable.undo import Undos
from stagedoor.portable.undoable import own, register, says, undoable

Json = Any


@dataclass(frozen=True, slots=True)
class Portable:
    document: Json
    lost: list[Problem]
    """Warnings: what the document says and this one does not."""


@dataclass(frozen=True, slots=True)
class Within:
    """What surrounds a task."""

    sagas: tuple[str, ...] = (WHOLE,)
    """From the innermost one."""
    retried: bool = False
    """By a ``try`` that is no saga of its own."""
    beside: bool = False
    """Others run at the same time, and have the same undos before the fork."""

    @property
    def saga(self) -> str:
        return self.sagas[0]


def lower(document: Json) -> Portable:
    """Of a right document. Raises ``InvalidDefinition`` for what has no plain form."""
    return Lowering(document).run()


class Lowering:
    def __init__(self, document: Json) -> None:
        self.document = copy.deepcopy(document)
        use = self.document.get("use") or {}
        self.functions: dict[str, Json] = use.get("functions") or {}
        self.bodies = copy.deepcopy(self.functions)
        """As they were written."""
        self.policy: dict[str, Json] = (self.document["document"].get("metadata") or {}).get("stagedoor/saga") or {}
        self.any = undoable([self.document["do"], self.functions], {})
        self.problems: list[Problem] = []
        self.losses = Losses()
        self.journal = Journal(document)
        self.rethrow = next(name for name in ("rethrow", "rethrow_", "rethrow__") if name not in self.functions)
        self.undos = Undos(self.journal, self.rethrow)
        self.used: set[str] = set()
        """Functions that undo or check."""
        self._names: set[str] = set()
        self._sagas: set[str] = set()
        self._demands: list[tuple[Json, Within, str | None]] = []

    def run(self) -> Portable:
        document = self.document
        tasks = self.tasks(document["do"], ("do",), Within())
        for name, body in self.functions.items():
            self.functions[name] = self.task(name, body, ("use", "functions", name), Within())
        self._extensions()
        for demand in self._demands:
            self._demand(*demand)
        if self.undos.known:
            tasks = [{"saga": self._whole(tasks)}]
        document["do"] = tasks
        own(document["document"])
        self._functions()
        if self.problems:
            raise InvalidDefinition(self.problems)
        return Portable(document, self.losses.problems(self.journal.key))

    def name(self, task: str) -> str:
        return _fresh(task, self._names)

    def saga(self, name: str) -> str:
        return _fresh(name, self._sagas)

    def _whole(self, tasks: Json) -> Json:
        """The workflow's own saga."""
        for kind in ("cancel", "report", "context"):
            self.losses.add(kind)
        if self.policy.get("order") == "parallel":
            self.losses.add("parallel")
        if "timeout" in self.document:
            # What ends it must be inside of what catches that.
            self.losses.add("timeout")
            tasks = [{"tasks": {"timeout": self.document.pop("timeout"), "do": tasks}}]
        return {"try": tasks, "catch": self.undos.catch(WHOLE)}

    def _functions(self) -> None:
        """Those that only undid are gone, the one that raises an error again is there."""
        for name in [name for name in self.functions if name in self.used and not says(self.document, "call", name)]:
            del self.functions[name]
        if says(self.document, "call", self.rethrow):
            self.functions[self.rethrow] = rethrow.function(self.document)
        use = self.document.pop("use", None) or {}
        use.pop("functions", None)
        if self.functions:
            use["functions"] = self.functions
        if use:
            self.document |= {"use": use, "do": self.document.pop("do")}
        if "cluster://" in str(self.document):
            self.losses.add("cluster")

    def _extensions(self) -> None:
        for index, item in enumerate((self.document.get("use") or {}).get("extensions") or []):
            name, extension = next(iter(item.items()))
            for key in ("before", "after"):
                if key in extension:
                    path = ("use", "extensions", index, name, key)
                    extension[key] = self.tasks(extension[key], path, Within())
            if self.any:
                self.losses.add("extensions", ("use", "extensions"))

    # Tasks

    def tasks(self, tasks: Json, path: Path, within: Within) -> Json:
        lowered = []
        for index, item in enumerate(tasks):
            name, task = next(iter(item.items()))
            lowered.append({name: self.task(name, task, (*path, index, name), within)})
        return lowered

    def task(self, name: str, task: Json, path: Path, within: Within) -> Json:
        said = self._said(name, task, path)
        if task.get("call") == "compensate" and "compensate" not in self.functions:
            task = self._compensate(name, task, path, within)
        elif "stagedoor/saga" in said:
            task = self._scope(name, task, path, within, said["stagedoor/saga"] or {})
        elif "fork" in task and undoable(task, self.bodies):
            task = fork.lower(self, name, task, path, within)
        else:
            self._below(task, path, within)
            if not said.keys() & {"stagedoor/compensate", "stagedoor/pivot"}:
                self._keep(task)
        if "stagedoor/pivot" in said and self.any:
            self.losses.add("pivot", path, name)
            self.journal.change(task, "[]")
        if "stagedoor/compensate" in said:
            task = register(self, name, task, path, within, said["stagedoor/compensate"])
        return task

    def _said(self, name: str, task: Json, path: Path) -> dict[str, Json]:
        """What the task says about undoing; what of it, and of the task, is lost."""
        said = own(task)
        run = task.get("run") or {}
        schema = self.any and "schema" in (task.get("export") or {})
        if schema:
            del task["export"]["schema"]
        if "stagedoor/check" in said:
            self.used.add(said["stagedoor/check"]["use"])
        for kind, lost in (
            ("timeout", self.any and "timeout" in task),
            ("check", "stagedoor/check" in said),
            ("child", "workflow" in run and run.get("await", True) and "stagedoor/compensate" not in said),
            ("own", task.get("call") == "activity" and "activity" not in self.functions),
            ("schema", schema),
        ):
            if lost:
                self.losses.add(kind, path, name)
        return said

    def _keep(self, task: Json) -> None:
        if self.any and "export" in task:
            self.journal.keep(task)

    def _below(self, task: Json, path: Path, within: Within) -> None:
        """The lists of tasks in a task, in place."""
        called = task.get("call")
        if called in self.bodies and len(within.sagas) > 1 and undoable(self.bodies[called], self.bodies):
            message = f"the function '{called}' has tasks that are undone, and is called in a saga of its own"
            self.problems.append(Problem(path, message, "write the function's tasks out where it is called"))
        if "do" in task:
            task["do"] = self.tasks(task["do"], (*path, "do"), within)
        if "fork" in task:
            below = (*path, "fork", "branches")
            task["fork"]["branches"] = self.tasks(task["fork"]["branches"], below, replace(within, beside=True))
        if "try" in task:
            inner = replace(within, retried=within.retried or "retry" in task["catch"])
            task["try"] = self.tasks(task["try"], (*path, "try"), inner)
            self._catch(task["catch"], path, within)
        if "foreach" in task:
            each = task["foreach"]
            if "do" in each:
                each["do"] = self.tasks(each["do"], (*path, "foreach", "do"), within)
            self._keep(each)

    def _catch(self, catch: Json, path: Path, within: Within) -> None:
        if self.any and "instance" in ((catch.get("errors") or {}).get("with") or {}):
            at = (*path, "catch", "errors", "with", "instance")
            message = "the instance of an error is another one in the plain form"
            self.problems.append(Problem(at, message, "tell errors apart by type, status or title"))
        if "do" in catch:
            catch["do"] = self.tasks(catch["do"], (*path, "catch", "do"), within)

    def _scope(self, name: str, task: Json, path: Path, within: Within, policy: Json) -> Json:
        """A list that is a saga of its own: what it did is undone before its error goes on."""
        saga = self.saga(name)
        kind = "try" if "try" in task else "do"
        tasks = self.tasks(task[kind], (*path, kind), Within((saga, *within.sagas)))
        if kind == "try":
            self._catch(task["catch"], path, within)
        if not self.undos.of(saga):
            task[kind] = tasks
            self._keep(task)
            return task
        if policy.get("order") == "parallel":
            self.losses.add("parallel", path, name)
        if kind == "do" and "timeout" in task:
            tasks = [{"tasks": {"timeout": task.pop("timeout"), "do": tasks}}]
        inner: Json = {"try": tasks, "catch": self.undos.catch(saga)}
        hand_over = self.journal.hand_over(saga, within.saga)
        if kind == "try":
            self.journal.change(inner, hand_over)
            task["try"] = [{"tasks": inner}]
            self._keep(task)
        else:
            del task["do"]
            task |= inner
            self.journal.change(task, hand_over)
        return task

    def _compensate(self, name: str, task: Json, path: Path, within: Within) -> Json:
        """``call: compensate``: what it becomes is written once all undos are known."""
        only = (task.get("with") or {}).get("task")
        for key in ("call", "with"):
            task.pop(key, None)
        task["do"] = []
        self.losses.add("report of", path, name)
        if within.beside:
            self.losses.add("beside", path, name)
        self._demands.append((task, within, only))
        self._keep(task)
        return task

    def _demand(self, task: Json, within: Within, only: str | None) -> None:
        undos = [undo for undo in self.undos.of(within.saga) if only is None or undo.task == only]
        entries = self.journal.of(within.saga, None if only is None else [undo.name for undo in undos])
        status = 'if length == 0 then "none" else "complete" end'
        report = f'{entries} | {{status: ({status}), entries: map({{task: .of, status: "compensated"}})}}'
        yields = source((task.get("output") or {}).get("as", "."), bare=True)
        task["input"] = {**(task.get("input") or {}), "from": wrap(report)}
        task["do"] = [{"undo": self.undos.loop(within.saga, undos, named=only is not None, quietly=False)}]
        task["output"] = {**(task.get("output") or {}), "as": wrap(f"$input | {yields}")}


def _fresh(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}{number}"
    taken.add(found)
    return found
