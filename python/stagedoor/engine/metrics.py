"""What the engine and its log count, for a scrape."""

from __future__ import annotations

from stagedoor.engine.embedded import Engine
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.measure import render


def of_engine(engine: Engine, log: EventLog) -> str:
    """Prometheus text format."""
    counters, statuses = engine.counters, dict.fromkeys(("pending", "running", "waiting", "suspended", "broken"), 0)
    for execution in engine.open.values():
        if execution.parked and execution.broken is None:
            # Most of a hundred thousand: nobody waits for a scrape.
            statuses["waiting"] += 1
            continue
        status = "broken" if execution.broken is not None else execution.status
        statuses[status if status in statuses else "running"] += 1
    finished = {f'status="{status}"': count for status, count in counters.finished.items()}
    name = "stagedoor_executions"
    return "".join(
        [
            render(
                name + "_open",
                "gauge",
                "Executions that have not ended.",
                {f'status="{status}"': count for status, count in statuses.items()},
            ),
            render(name + "_started_total", "counter", "Executions started.", counters.started),
            render(name + "_finished_total", "counter", "Executions that ended.", finished),
            render(name + "_joined_total", "counter", "Requests that joined one by its key.", engine.door.joined),
            render(name + "_refused_total", "counter", "Callouts that were refused.", engine.refused),
            render(name + "_restarted_total", "counter", "Begun anew by an operator.", counters.restarted),
            render(name + "_migrated_total", "counter", "Led on by another version.", counters.migrated),
            render(name + "_recovered", "gauge", "Executions read back at the start.", counters.recovered),
            render("stagedoor_engine_calls_total", "counter", "Calls sent by workflows.", engine.calls_sent),
            render("stagedoor_engine_calls_open", "gauge", "Calls on their way.", engine.calls_open),
            render("stagedoor_engine_calls_waiting", "gauge", "Calls that wait for a slot.", engine.calls_waiting),
            render(
                "stagedoor_engine_calls_refused_total",
                "counter",
                "Calls that failed because too many waited.",
                engine.calls_refused,
            ),
            render("stagedoor_engine_turns_waiting", "gauge", "Executions that wait for a turn.", len(engine.turns)),
            render(
                "stagedoor_executions_limited_total",
                "counter",
                "Executions that came to a limit of their own.",
                {f'limit="{limit}"': count for limit, count in counters.limited.items()},
            ),
            render("stagedoor_schedules_started_total", "counter", "Started by schedules.", engine.schedules.started),
            render("stagedoor_schedules_skipped_total", "counter", "Not started.", engine.schedules.skipped),
            render("stagedoor_engine_listeners", "gauge", "Listeners for events.", len(engine.listeners)),
            render("stagedoor_events_received_total", "counter", "Events that came in.", engine.inbox.received),
            render(
                "stagedoor_events_duplicate_total",
                "counter",
                "Events that had come in before.",
                engine.inbox.duplicates,
            ),
            render("stagedoor_events_kept", "gauge", "Events kept for later.", len(engine.inbox.events)),
            render("stagedoor_events_delivered_total", "counter", "Events delivered.", engine.outbox.delivered),
            render("stagedoor_events_given_up_total", "counter", "Events not delivered.", engine.outbox.given_up),
            render("stagedoor_events_under_way", "gauge", "Events being delivered.", engine.outbox.under_way),
            render("stagedoor_executions_parked", "gauge", "Waiting ones out of memory.", engine.parking.parked),
            render("stagedoor_engine_timers", "gauge", "Timers that have not fired.", engine.timers),
            render("stagedoor_snapshots_total", "counter", "Snapshots of executions.", engine.snapshots.taken),
            render("stagedoor_snapshots_bytes_total", "counter", "Their JSON.", engine.snapshots.bytes),
            render("stagedoor_blobs_total", "counter", "Payloads kept beside the log.", counters.blobs),
            render("stagedoor_blobs_bytes_total", "counter", "Their JSON.", counters.blob_bytes),
            render("stagedoor_event_log_waiting", "gauge", "Events not committed yet.", log.waiting),
            render("stagedoor_event_log_events_total", "counter", "Events committed.", log.events),
            render(
                "stagedoor_event_log_broken",
                "gauge",
                "1 if the store cannot be written.",
                int(log.broken is not None),
            ),
            log.batch_sizes.render("stagedoor_event_log_batch_events", "Events of one commit."),
            log.commit_seconds.render("stagedoor_event_log_commit_seconds", "Time of one commit."),
        ]
    )
