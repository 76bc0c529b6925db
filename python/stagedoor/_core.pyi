"""The boundary to the data plane and to expressions: plain data only. Every method that may wait releases the GIL; what
takes microseconds keeps it, because getting it back from a busy thread takes longer than the work."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, Self, final

Json = Any

class ExpressionError(Exception):
    """An expression does not compile, failed, or went over its bound of steps, depth or output."""

@final
class Expression:
    """A jq program, compiled once. No access to environment, files, clock or input readers."""

    def __new__(cls, source: str, variables: Sequence[str] = ...) -> Self:
        """``variables`` are names with their ``$``, in the order in which ``evaluate`` takes their values."""
    @property
    def source(self) -> str: ...
    def evaluate(self, input: Json, variables: Sequence[Json] = ..., now: float | None = None) -> Json:
        """Exactly one result, else ExpressionError. ``now`` is what jq's ``now`` yields; None makes it an error."""

def reads(source: str) -> list[list[str | None]]:
    """Ways into its input that a jq program takes for sure, such as ``["items", None, "sku"]`` for ``.items[].sku``;
    None is every item of a list."""

@final
class Schema:
    """A JSON Schema, compiled once: in the draft that it names, 2020-12 where it names none. Fetches nothing, and its
    patterns take linear time."""

    def __new__(cls, schema: str) -> Self:
        """From its JSON text. ValueError says where it is wrong."""
    def faults(self, value: Json) -> list[tuple[str, str]]:
        """JSON Pointers into the value and what was expected there, at most 32; empty where it fits. ValueError: the
        value is nested deeper than 127 levels."""

@final
class CallerToken:
    """The token by which a caller has proved who it is. Nothing here can read it: it goes back with ``call``."""

@final
class Execute:
    """A request for a workflow route: start an execution, or join the one with the same idempotency key."""

    @property
    def callout(self) -> int: ...
    @property
    def route(self) -> str: ...
    @property
    def workflow(self) -> str: ...
    @property
    def input(self) -> Json: ...
    @property
    def consumer(self) -> str | None: ...
    @property
    def idempotency_key(self) -> str | None: ...
    @property
    def traceparent(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def wait_ms(self) -> int:
        """0 with ``Prefer: respond-async``."""

    @property
    def caller_token(self) -> CallerToken | None:
        """Where some cluster is given another one for it."""

@final
class ShowExecution:
    """A request for a status resource."""

    @property
    def callout(self) -> int: ...
    @property
    def route(self) -> str: ...
    @property
    def execution(self) -> str: ...
    @property
    def consumer(self) -> str | None: ...

@final
class ReceiveEvents:
    """CloudEvents by HTTP, for a route that takes them."""

    @property
    def callout(self) -> int: ...
    @property
    def route(self) -> str: ...
    @property
    def headers(self) -> list[tuple[str, str]]:
        """Those that are about the event: ``content-type`` and ``ce-``."""
    @property
    def body(self) -> bytes: ...

@final
class Abandoned:
    """The client of a callout went away: an answer is no longer needed. Its execution goes on."""

    @property
    def callout(self) -> int: ...

@final
class KeysWanted:
    """A token names a key of this issuer that is not known: what it publishes is to be fetched soon, and handed over
    with ``set_issuer``, also when it could not be."""

    @property
    def issuer(self) -> str: ...
    @property
    def first(self) -> bool:
        """No key of the issuer was known."""

@final
class Trouble:
    """Something does not work that serving goes on without: a line for the log."""

    @property
    def text(self) -> str: ...

@final
class Answered:
    """A call was answered, whatever the status."""

    @property
    def call(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def body(self) -> bytes: ...

@final
class Unanswered:
    """A call got no answer. ``sent`` says whether the service may have seen it."""

    @property
    def call(self) -> int: ...
    @property
    def sent(self) -> bool: ...
    @property
    def status(self) -> int:
        """The status that a client would have got: 502, 503 or 504."""
    @property
    def code(self) -> str:
        """The error kind, as in docs/errors.md."""
    @property
    def detail(self) -> str: ...

Notice = Execute | ShowExecution | ReceiveEvents | Abandoned | KeysWanted | Trouble | Answered | Unanswered

# Answers to callouts, as tuples (callout, kind, ...):
#   (int, "completed", execution, output)
#   (int, "faulted",   execution, error)          error: RFC 7807 object, with "compensation" in it
#   (int, "running",   execution, status)         status: the status resource as JSON; answered as 202
#   (int, "shown",     execution, status)         200 with the status resource
#   (int, "stored",    count)                     202 with {"stored": count}: so many events were new
#   (int, "refused",   code, detail, retry_after_s | None)    code: an error kind of docs/errors.md
Answer = tuple[Any, ...]

# A call: (call, cluster, method, path_and_query, headers, body, timeout_ms, caller_token); a shorter timeout of the
# cluster counts. caller_token is False for a caller who had one that is lost: no other takes its place.
Call = tuple[int, str, str, str, list[tuple[str, str]], bytes | None, int, CallerToken | Literal[False] | None]

@final
class GrpcMethod:
    """One unary method of a service that speaks gRPC: its messages as JSON and back. Immutable.

    ValueError says what is wrong: of a description, or of a message."""

    @staticmethod
    def of_sources(sources: dict[str, str], main: str, service: str, method: str) -> GrpcMethod:
        """Of ``.proto`` sources by the names that they import each other by; ``main`` has the service."""
    @staticmethod
    def of_set(set: bytes, service: str, method: str) -> GrpcMethod:
        """Of a FileDescriptorSet."""
    @property
    def path(self) -> str:
        """``/SERVICE/METHOD``."""
    def encode(self, json: str) -> bytes: ...
    def decode(self, message: bytes) -> str: ...

@final
class DataPlane:
    """Worker threads that serve a snapshot."""

    def __init__(self) -> None: ...
    def start(self, snapshot: str) -> dict[str, str]:
        """Bind and serve; returns the bound address of each listener. ValueError lists every configuration error,
        OSError says which address could not be bound."""
    def apply(self, snapshot: str) -> None:
        """Swap the whole program atomically; on ValueError the old one keeps serving. Listeners may be added and
        removed."""
    def drain(self, timeout_s: float) -> bool:
        """Stop accepting, let exchanges finish, close idle connections. False when the time ran out."""
    def stop(self) -> None:
        """End at once and join the threads."""
    def fileno(self) -> int:
        """An eventfd, readable while ``take`` has something."""
    def take(self) -> list[Notice]:
        """All that waits, without blocking."""
    def answer(self, answers: list[Answer]) -> None: ...
    def call(self, calls: list[Call]) -> None:
        """Send requests through clusters; each yields one Answered or Unanswered. Bodies of answers: at most 1 MiB."""
    def cancel(self, calls: list[int]) -> None:
        """Drop calls that are still on their way; they yield nothing."""
    def update_registry(self, registry: str) -> None:
        """All consumers, credentials and plans of the store, in place of those before; effective at the next request.
        On ValueError, which lists every mistake and no secret, nothing has changed. JSON:
        {"hmac_key": hex, "consumers": {NAME: {"groups": [..], "plan": str | null, "disabled": bool,
        "api_keys": [{"id", "prefix", "hmac_sha256": hex, "scopes": [..], "expires": unix_s | null,
        "routes": [..] | null, "networks": [..] | null}], "basic": [{"id", "username", "phc"}]}},
        "plans": {NAME: {"rate_limit": [{"limit", "per_ms", "burst"}]}}}. A key is ``sd_PREFIX_SECRET``, its HMAC that
        of the whole key; prefixes are letters and digits, each once. A plan may also be one of the configuration."""
    def set_issuer(self, name: str, fetched: str | None) -> None:
        """What an issuer publishes, effective at the next token; None when it could not be fetched, so that nobody
        waits for it. On ValueError what was known stays. JSON: {"jwks": text | null, "endpoints": {"token": {"url",
        "authority", "path", "cluster"}, ..}}."""
    def last_used(self) -> dict[str, int]:
        """When each credential was last used, by its id, in seconds since 1970; without those that never were."""
    def purge(self, what: str, value: str, soft: bool) -> int:
        """Invalidate stored responses by ``url``, ``prefix``, ``group`` or ``all``; how many were hit. ``soft``: they
        are stale. ValueError: the value is none of that kind."""
    def invalidate(self, groups: list[str]) -> None:
        """Stored responses of these groups are not used any more; nothing is waited for."""
    def cache_level(self) -> dict[str, int]:
        """``entries``, ``bytes``, ``limit`` and ``evicted`` of the cache, and the same and more of its disk tier with
        ``disk_`` before them."""
    def versions(self) -> Json:
        """The APIs that are served: for each version state, dates (seconds since 1970), where it leads, and by consumer
        how often and when it was asked for since this began."""
    def metrics(self) -> str:
        """Prometheus text format."""

def check(snapshot: str) -> list[tuple[str, str]]:
    """Compile without serving: (severity, message) for every error and warning, for example routes that hide others."""

def explain(
    snapshot: str, method: str, url: str, headers: list[tuple[str, str]], client: IPv4Address | IPv6Address
) -> Json:
    """Which route answers a request from ``client``, why, which policies in which order, what they decide, and where it
    leads."""

def routes(snapshot: str) -> Json:
    """The route table in precedence order."""

def hash_password(password: str) -> str:
    """Its argon2id hash with a new salt, in PHC form. Takes tens of milliseconds, without the GIL."""

def client_assertion(private_key: str, client_id: str, audience: str) -> str:
    """By what a client proves itself to a token endpoint (RFC 7523 §3), signed with its key in PEM or as a JWK.
    ValueError says what is wrong with the key, and shows none of it."""

def error_kinds() -> list[tuple[str, int, str]]:
    """(code, status, title) of every error kind."""
