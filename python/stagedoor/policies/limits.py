"""How large a request body may be, how long an exchange may take, and how long a stream may be silent."""

from __future__ import annotations

from stagedoor.policies.model import Strict, duration, size
from stagedoor.policies.unit import Duration, Size


class Limits(Strict):
    """Bounds of one exchange. On for every route with its defaults; ``limits: off`` removes all of them."""

    body: Size = size("1MiB", least="0B", most="1024GiB")
    """Largest request body; more is answered with 413."""
    request: Duration | None = duration(None, least="1ms", most="1d", optional=True)
    """The whole exchange, retries included; longer is answered with 504. Left out: the cluster's
    ``timeouts.request``, which bounds a stream only until its head."""
    stream_idle: Duration = duration("5m", least="1ms", most="1d")
    """Between two pieces of a stream (``text/event-stream``, ``application/x-ndjson``, ``application/json-seq``, calls
    of gRPC); longer breaks it off."""
