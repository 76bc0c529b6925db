"""Activities that are Python functions: run here, coroutines in the loop and the others in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import ValidationError

from stagedoor.activity import Activity, ActivityFailed, Context
from stagedoor.engine.record import NESTING, decode_json, encode
from stagedoor.workflow.commands import Call
from stagedoor.workflow.events import CallCompleted, CallFailed, CallUnknown

THREADS = 16
"""Functions in threads at once; others wait for one."""
LOOK_S = 0.05
"""The shortest time between two looks at a heartbeat."""
MAX_DETAIL = 1000
"""Characters of an exception's text that an error keeps."""

Json = Any
Outcome = tuple[CallCompleted | CallFailed | CallUnknown, str | None]


class Functions:
    """An activity is run at least once: after a crash or a time-out it is run again with the same key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.known: Mapping[str, Activity[..., Any]] = {}
        self._clock = clock
        self._threads: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """What runs in threads goes on by itself; nobody waits for it."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, call: Call, execution: str) -> Outcome:
        """Raises nothing that is the function's own fault."""
        name = call.endpoint.removeprefix("activity://")
        activity = self.known.get(name)
        if activity is None:
            return CallFailed(self._clock(), call.id, 501, "No such activity", f"'{name}' is not loaded here"), None
        context = Context(execution, call.task, call.idempotency_key, call.compensates)
        try:
            given = _arguments(activity, call.body, context)
        except ValidationError as error:
            return self._failed(call, 400, "Arguments not valid", _told(error)), None
        work = asyncio.ensure_future(self._start(activity, given))
        try:
            result = await self._watch(activity, context, work)
        except TimeoutError as late:
            return CallUnknown(self._clock(), call.id, 504, "The activity took too long", str(late)), None
        except ActivityFailed as failed:
            return self._failed(call, failed.status, failed.title, failed.detail, failed.type), None
        except asyncio.CancelledError:
            context.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the function's own: it becomes the task's error
            return self._failed(call, 500, type(error).__name__, str(error)), None
        try:
            content = activity.output.dump_python(activity.output.validate_python(result), mode="json")
            completed = CallCompleted(self._clock(), call.id, 200, content)
            data = encode(completed)
            # It keeps to what every other answer keeps to.
            decode_json(data, NESTING + 1)
            return completed, data
        except (ValidationError, ValueError, TypeError) as error:
            told = _told(error) if isinstance(error, ValidationError) else str(error)
            return self._failed(call, 500, "Result not valid", told), None

    def _start(self, activity: Activity[..., Any], given: dict[str, Json]) -> Any:
        if activity.is_coroutine:
            return activity.function(**given)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="activity")
        return asyncio.get_running_loop().run_in_executor(self._threads, lambda: activity.function(**given))

    async def _watch(self, activity: Activity[..., Any], context: Context, work: asyncio.Future[Any]) -> Any:
        """Raises TimeoutError with a sentence."""
        loop = asyncio.get_running_loop()
        end = loop.time() + activity.timeout_s
        try:
            while True:
                left = end - loop.time()
                quiet = activity.heartbeat_s
                wait = left if quiet is None else min(left, max(quiet - context.silent_s, LOOK_S))
                done, _ = await asyncio.wait([work], timeout=max(wait, 0.0))
                if done:
                    return work.result()
                if loop.time() >= end:
                    raise TimeoutError(f"no result after {activity.timeout_s:g} s")
                if quiet is not None and context.silent_s >= quiet:
                    raise TimeoutError(f"no heartbeat for {quiet:g} s")
        except BaseException:
            context.cancel()
            work.cancel()
            raise

    def _failed(self, call: Call, status: int, title: str, detail: str, kind: str | None = None) -> CallCompleted:
        """An answer that is an error, as a service would give it."""
        problem = {"title": title[:200], "status": status, "detail": detail[:MAX_DETAIL]}
        return CallCompleted(self._clock(), call.id, status, problem | ({"type": kind} if kind else {}))


def _arguments(activity: Activity[..., Any], body: Json, context: Context) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if activity.input is not None and activity.input_name is not None:
        given[activity.input_name] = activity.input.validate_python(body)
    if activity.context_name is not None:
        given[activity.context_name] = context
    return given


def _told(error: ValidationError) -> str:
    """Where, and what is wrong; never the value."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'the value'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    )
