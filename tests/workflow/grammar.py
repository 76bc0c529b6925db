"""Documents of the workflow language, made at random: each is one that must be accepted."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = Any
DEEPEST = 3
CONDITIONS = st.sampled_from(["true", "${ false }", ".n > 1", "${ .a | not }", "$context.k == 1", ".a.b.c"])
VALUES = st.sampled_from(
    [1, "text", None, [1, 2], {"n": 1}, {"a": "${ .n }"}, {"n": "${ (.n // 0) + 1 }"}, {"k": ["${ $context }"]}]
)
WHOLE = st.sampled_from(["${ . }", "${ {n: 2} }", "${ [.] }", "${ $input }", "${ .a.b }", "${ empty }", "${ 1, 2 }"])
FILTERS = st.sampled_from([".", ".n", "${ {n: .} }", {"n": 1, "a": "${ . }"}, "${ $context }"])
DURATIONS = st.sampled_from(["PT0S", "PT1S", "PT5S", {"seconds": 2}, "${ .pause }", '${ "PT3S" }'])
ERRORS = st.builds(
    lambda status, detail: {"type": "https://stub.example/errors/x", "status": status, **detail},
    st.sampled_from([400, 404, 500, 503]),
    st.sampled_from([{}, {"title": "T"}, {"detail": "${ .n | tostring }"}]),
)
EVENT = st.sampled_from([{"type": "a"}, {"type": "b", "data": "${ .n == 1 }"}, {"subject": "s.*"}])
CAUGHT = st.sampled_from([{}, {"errors": {"with": {"status": 500}}}, {"when": "$error.status > 400"}])
EXTENSIONS = [{"x": {"extend": "call", "before": [{"b": {"set": {"n": 3}}}]}}]
POLICY = st.builds(
    lambda count, backoff, duration: {
        "delay": "PT1S",
        **backoff,
        "limit": {"attempt": {"count": count, **duration}},
    },
    st.integers(0, 2),
    st.sampled_from([{}, {"backoff": {"linear": {}}}, {"backoff": {"exponential": {}}}]),
    st.sampled_from([{}, {"duration": "PT2S"}]),
)


def call(path: str) -> st.SearchStrategy[Json]:
    return st.builds(
        lambda method, body, output, undo: {
            "call": "http",
            "with": {"method": method, "endpoint": f"cluster://s/{path}", **body, **output},
            **undo,
        },
        st.sampled_from(["get", "post", "put", "delete"]),
        st.sampled_from([{}, {"body": "${ . }"}, {"query": {"n": "${ .n }"}}]),
        st.sampled_from([{}, {"output": "response"}, {"output": "raw"}]),
        st.sampled_from([{}, {}, {"metadata": {"stagedoor/compensate": {"use": "undo"}}}]),
    )


@st.composite
def task(draw: st.DrawFn, depth: int) -> Json:
    kinds = ["set", "raise", "wait", "call", "emit", "listen", "function", "workflow", "shell"]
    kinds += [] if depth == 0 else ["do", "for", "fork", "try", "switch"]
    below = tasks(depth - 1)
    made: Json
    match draw(st.sampled_from(kinds)):
        case "set":
            made = {"set": draw(st.dictionaries(st.sampled_from("nak"), VALUES, min_size=1) | WHOLE)}
        case "raise":
            made = {"raise": {"error": draw(ERRORS | st.just("named"))}}
        case "wait":
            made = {"wait": draw(DURATIONS)}
        case "call":
            made = draw(call("a") | call("{n}"))
        case "emit":
            made = {"emit": {"event": {"with": {"source": "/s", "type": "a", "data": draw(VALUES)}}}}
        case "listen":
            one, some = draw(EVENT), draw(st.lists(EVENT, max_size=2))
            filters = [{"with": each} for each in some]
            to = draw(st.sampled_from([{"one": {"with": one}}, {"any": filters}, {"all": filters}]))
            made = {"listen": {"to": to}}
            if draw(st.booleans()):
                made["foreach"] = {"item": "event", "do": draw(below) if depth else [{"seen": {"set": "${ $event }"}}]}
        case "function":
            made = {"call": "function", **draw(st.sampled_from([{}, {"with": {"n": "${ .n }"}}]))}
        case "workflow":
            made = {"run": {"workflow": {"namespace": "n", "name": "other", "version": "1.0.0"}}}
        case "shell":
            made = {"run": {"shell": {"command": "true"}, **draw(st.sampled_from([{}, {"return": "all"}]))}}
        case "do":
            made = {"do": draw(below)}
        case "for":
            made = {"for": {"each": "x", "in": draw(st.sampled_from(["[1, 2]", ".list", "${ [range(.n)] }"]))}}
            made |= {"do": draw(below), **draw(st.sampled_from([{}, {"while": "$x < 2"}]))}
        case "fork":
            made = {"fork": {"branches": draw(below), "compete": draw(st.booleans())}}
        case "try":
            catch: Json = draw(
                st.sampled_from([{}, {"errors": {"with": {"status": 500}}}, {"when": "$error.status > 400"}])
            )
            catch = {**catch, **draw(st.sampled_from([{}, {"then": "end"}]))}
            if draw(st.booleans()):
                catch["retry"] = draw(POLICY | st.just("named"))
            if draw(st.booleans()):
                catch["do"] = draw(below)
            made = {"try": draw(below), "catch": catch}
        case _:
            cases = draw(st.lists(CONDITIONS, min_size=1, max_size=2))
            made = {
                "switch": [
                    {f"c{number}": {"when": when, "then": draw(st.sampled_from(["continue", "exit", "end"]))}}
                    for number, when in enumerate(cases)
                ]
            }
    for key, values in (
        ("if", CONDITIONS),
        ("input", FILTERS.map(lambda found: {"from": found})),
        ("output", FILTERS.map(lambda found: {"as": found})),
        ("export", st.just({"as": "${ $context + {k: 1} }"})),
        ("timeout", st.sampled_from([{"after": "PT3S"}, "named"])),
        ("then", st.sampled_from(["continue", "exit", "end"])),
    ):
        if draw(st.integers(0, 5)) == 0:
            made[key] = draw(values)
    return made


@st.composite
def tasks(draw: st.DrawFn, depth: int) -> Json:
    made = draw(st.lists(task(max(depth, 0)), min_size=1, max_size=3))
    return [{f"t{number}": each} for number, each in enumerate(made)]


@st.composite
def documents(draw: st.DrawFn) -> Json:
    post = {"call": "http", "with": {"method": "post", "endpoint": "cluster://s/undo"}}
    return {
        "document": {"dsl": "1.0.3", "namespace": "n", "name": "made", "version": "1.0.0"},
        "use": {
            "functions": {"undo": post, "function": draw(call("f") | st.just({"set": {"n": "${ .n }"}}))},
            "errors": {"named": draw(ERRORS)},
            "timeouts": {"named": {"after": "PT2S"}},
            "retries": {"named": draw(POLICY)},
            "extensions": draw(
                st.sampled_from([[], [{"x": {"extend": "call", "before": [{"b": {"set": {"n": 3}}}]}}]])
            ),
        },
        **draw(st.sampled_from([{}, {"timeout": {"after": "PT20S"}}, {"output": {"as": "${ {made: .} }"}}])),
        "do": draw(tasks(DEEPEST)),
    }
