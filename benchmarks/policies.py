"""CPU per request where callers prove who they are, beside a bare nginx: one core, as in ``proxy``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peer import ENVOY, FEATURES, KEY, NGINX, STAGEDOOR, Peer, serving, small_service
from benchmarks.proxy import closed_loop
from benchmarks.row import Row, alternate
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged
from benchmarks.token import issued
from benchmarks.trial import COLUMNS

SCOPES = Peer("stagedoor, key + scopes + limit + log + metrics", "stagedoor-scopes.yaml", STAGEDOOR, {"X-Api-Key": KEY})
ES256 = "stagedoor, remembered token, ES256"


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    tokens = issued()

    def bearer(algorithm: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.by_algorithm[algorithm]}"}

    jwt = [
        Peer(f"stagedoor, remembered token, {algorithm}", "stagedoor-jwt.yaml", STAGEDOOR, bearer(algorithm))
        for algorithm in tokens.by_algorithm
    ]
    envoy = Peer("Envoy, token, ES256", "envoy-jwt.yaml", ENVOY, bearer("ES256"))
    peers = [NGINX, SCOPES, FEATURES[1], *jwt, envoy]
    more = {"jwks": tokens.jwks, "secret": tokens.secret}
    with small_service(directory) as upstream, serving(peers, directory, upstream, more=more) as (rows, doors):
        alternate(rows, rounds, lambda row: closed_loop(doors[row.name], seconds), "cpu_us")
    return rows


def table(rows: list[Row]) -> str:
    figure = against("nginx", "cpu_us")
    scopes = Target("key + scopes + limit + log + metrics: CPU against bare nginx", figure, "×", SCOPES.name, most=1.05)
    token = Target("a remembered ES256 token: CPU against bare nginx", figure, "×", ES256, most=1.1)
    return tabled("proxy", rows, COLUMNS) + judged(rows, scopes, token)
