"""The gateway's own configurations in the figures are ones that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from stagedoor.config import load
from stagedoor.config.listener import Listener

from benchmarks.peer import KEY, PEERS, render
from benchmarks.token import issued
from benchmarks.transcoding import descriptors

VARIANTS = {"plain": None, "tls": "tls", "h2c": "http2"}
"""And the listener's key that each needs."""


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", sorted(path.name for path in PEERS.glob("stagedoor*.yaml")))
def test_the_gateway_takes_its_configuration(name: str, variant: str, tmp_path: Path) -> None:
    key = VARIANTS[variant]
    if key is not None and key not in Listener.model_fields:
        pytest.skip(f"listeners have no {key!r}")
    tokens = issued()
    values = {"port": 0, "upstream": 1, "workers": 1, "key": KEY, "chain": "chain.pem", "key_file": "key.pem"}
    values |= {"jwks": tokens.jwks, "secret": tokens.secret}
    if "{descriptors}" in (PEERS / name).read_text():
        values["descriptors"] = descriptors(tmp_path)
    for document in ("five.yaml", "local.yaml", "wait.yaml"):
        render(document, tmp_path, {})
    config = render(name, tmp_path, values, variant)
    load(config)
