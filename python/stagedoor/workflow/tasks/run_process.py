"""``run: shell`` and ``run: script``: a process of its own, confined, where the operator allows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from stagedoor.workflow.commands import CancelProcess, Command, RunProcess
from stagedoor.workflow.definition import Task
from stagedoor.workflow.endpoint import scalar
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.events import ProcessEnded, ProcessFailed
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.waiting import ForProcess, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

LANGUAGES = {"js": "js", "javascript": "js", "python": "python"}
MAX_STDERR = 500
"""Characters of a failed process's stderr, its last ones, that its error tells."""


class ProcessFrame(Frame):
    __slots__ = ("command",)
    task: RunTask

    def begin(self) -> None:
        task, machine, data = self.task, self.machine, self.input
        arguments = [self.text(each(self, data), "an argument") for each in task.arguments]
        environment = task.environment(self, data) if task.environment is not None else {}
        if not isinstance(environment, dict):
            raise self.wrong("the environment is not an object")
        variables = {name: self.text(value, f"the variable {name}") for name, value in environment.items()}
        stdin = self.text(task.stdin(self, data), "stdin") if task.stdin is not None else ""
        self.command = RunProcess(
            machine.number(f"{self.identity}!run", self),
            task.reference,
            f"{machine.execution}{self.identity}",
            task.language,
            task.code,
            arguments,
            variables,
            stdin,
        )
        if self.entry is not None:
            self.entry.call = task.language
        machine.ask(self.command, self)
        if not task.awaited:
            self.complete(data)

    def text(self, value: Json, what: str) -> str:
        text = scalar(value)
        if text is None:
            raise self.wrong(f"{what} is neither text nor a number")
        if "\0" in text and what != "stdin":
            raise self.wrong(f"{what} has a character that the system forbids")
        return text

    def wrong(self, detail: str) -> Failure:
        return Failure(standard("expression", 400, "Process not valid", self.reference, detail))

    def process_ended(self, event: ProcessEnded) -> None:
        returned = self.task.returned
        if event.code != 0 and returned not in ("code", "all"):
            detail = f"it ended with {event.code}"
            if event.stderr.strip():
                detail += f": {event.stderr.strip()[-MAX_STDERR:]}"
            self.finish(failure=Failure(standard("runtime", 500, "The process failed", self.reference, detail)))
            return
        results: dict[str, Json] = {"stdout": event.stdout, "stderr": event.stderr, "code": event.code, "none": None}
        results["all"] = {"code": event.code, "stdout": event.stdout, "stderr": event.stderr}
        self.finish(results[returned])

    def process_failed(self, event: ProcessFailed) -> None:
        error = standard("runtime", event.status, event.title, self.reference, event.detail)
        self.finish(failure=Failure(error, unknown=event.begun))

    def finish(self, output: Json = None, failure: Failure | None = None) -> None:
        if not self.task.awaited:
            return
        if failure is None:
            self.complete(output)
        else:
            self.fail(failure)

    def stop(self, *, drain: bool) -> None:
        if self.task.awaited:
            self.machine.doubts += 1
            self.machine.withdraw(CancelProcess(self.command.id))

    def waits_for(self, command: Command, since: float) -> Reason:
        return ForProcess(task=self.reference, since=since, id=self.command.id, language=self.task.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTask(Task):
    kind: ClassVar[str] = "run"
    frame: ClassVar[type[Frame]] = ProcessFrame
    language: Literal["shell", "js", "python"]
    code: str
    arguments: tuple[Template, ...]
    environment: Template | None
    stdin: Template | None
    awaited: bool
    returned: str


def shell(
    place: Place, common: Common, compiler: Compiler, within: Within, *, awaited: bool, returned: str
) -> Task | None:
    if not place.mapping(required=("command",)):
        return None
    place.keys({"command", "arguments", "environment", "stdin"}, common=False)
    return _process(place, "shell", place.at("command"), common, compiler, within, awaited, returned)


def script(
    place: Place, common: Common, compiler: Compiler, within: Within, *, awaited: bool, returned: str
) -> Task | None:
    if not place.mapping(required=("language",)):
        return None
    place.keys({"language", "code", "source", "arguments", "environment", "stdin"}, common=False)
    named = [key for key in ("code", "source") if key in place.value]
    if len(named) != 1:
        place.problem("a script has its code or a source, and not both")
        return None
    language = place.at("language").text()
    if language is None:
        return None
    if language not in LANGUAGES:
        place.at("language").unsupported(f"scripts in {language!r}", "languages here are js and python")
        return None
    code: Place | None = place.at("code")
    if named == ["source"]:
        code = compiler.resource(place.at("source"), "text")
    if code is None:
        return None
    return _process(place, LANGUAGES[language], code, common, compiler, within, awaited, returned)


def _process(
    place: Place,
    language: str,
    code: Place,
    common: Common,
    compiler: Compiler,
    within: Within,
    awaited: bool,
    returned: str,
) -> Task | None:
    text = code.text()
    if code.is_expression():
        # Whoever sends data must never get to say what is run.
        code.problem(
            "what is run stands in the document, it is not computed", "pass data as arguments, environment or stdin"
        )
    if text is None:
        return None
    if "\0" in text:
        code.problem("it has a character that the system forbids")
    listed = place.at("arguments")
    arguments: list[Template] = []
    if isinstance(listed.value, list):
        for index in range(len(listed.value)):
            if listed.at(index).text() is not None:
                arguments.append(compiler.template(listed.at(index), within))
    elif "arguments" in place.value:
        listed.problem("arguments are a list of texts")
    environment = None
    if "environment" in place.value and place.at("environment").mapping():
        environment = compiler.template(place.at("environment"), within)
    stdin = None
    if "stdin" in place.value and place.at("stdin").text() is not None:
        stdin = compiler.template(place.at("stdin"), within)
    compiler.processes.append((language, common["reference"]))
    return RunTask(
        **common,
        language=language,  # type: ignore[arg-type]
        code=text,
        arguments=tuple(arguments),
        environment=environment,
        stdin=stdin,
        awaited=awaited,
        returned=returned,
    )
