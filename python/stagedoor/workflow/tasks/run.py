"""``run``: another workflow as an execution of its own, or a script or shell command as a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagedoor.workflow.definition import Task
from stagedoor.workflow.tasks import run_process, run_workflow

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

KINDS = {"workflow": run_workflow.compile, "script": run_process.script, "shell": run_process.shell}


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"run"})
    config = place.at("run")
    if not config.mapping():
        return None
    config.keys({"await", "return", "container", *KINDS}, common=False)
    named = [key for key in ("container", *KINDS) if key in config.value]
    if len(named) != 1:
        config.problem("a task runs one thing: a workflow, a script or a shell command")
        return None
    awaited = config.value.get("await", True)
    if not isinstance(awaited, bool):
        config.at("await").problem("await is true or false")
    returned = config.at("return").choice(("stdout", "stderr", "code", "all", "none"), "stdout")
    if named == ["container"]:
        config.at("container").problem(
            "containers are not run here: the gateway has no container engine",
            "run it as a service of its own and call that, or use a script",
        )
        return None
    return KINDS[named[0]](config.at(named[0]), common, compiler, within, awaited=bool(awaited), returned=returned)
