"""Which URLs are led to clusters."""

from __future__ import annotations

import pytest
from stagedoor.workflow.server import Servers

SERVERS = Servers(
    {
        "https://api.example/v2": "cluster://pets/v3",
        "https://api.example": "cluster://all",
        "https://api.example/v2/cats/": "cluster://cats",
        "http://[::1]:8080/": "cluster://six/",
        "pets.yaml": "cluster://file",
    }
)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://api.example/v2/pets?limit=3", "cluster://pets/v3/pets?limit=3"),
        ("https://API.example:443/v2", "cluster://pets/v3"),
        ("https://api.example/v2?a=b", "cluster://pets/v3?a=b"),
        ("https://api.example/v2/", "cluster://pets/v3/"),
        ("https://api.example/v20", "cluster://all/v20"),
        ("https://api.example", "cluster://all/"),
        ("https://api.example?a", "cluster://all/?a"),
        ("https://api.example/v2/cats", "cluster://cats/"),
        ("https://api.example/v2/cats/1", "cluster://cats/1"),
        ("https://api.example/v2/%63ats/1", "cluster://pets/v3/%63ats/1"),
        ("http://[::1]:8080/a", "cluster://six/a"),
        ("http://api.example/v2/pets", None),
        ("https://api.example:8443/v2", None),
        ("https://api.example.evil/v2", None),
        ("https://api.example@evil/v2", None),
        ("https://a@api.example/v2", "cluster://pets/v3"),
        ("cluster://pets/v2", None),
        ("pets.yaml", None),
    ],
)
def test_a_url_is_led_by_the_longest_server_that_it_begins_with(url: str, place: str | None) -> None:
    assert SERVERS.lead(url) == place


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("https://api.example/v2/{id}?q={q}", "cluster://pets/v3/"),
        ("https://api.example/v2{id}", "cluster://all/"),
        ("https://other.example/{id}", None),
        ("https://api.example{port}/v2", None),
        ("http://[", None),
        ("${ .url }", None),
    ],
)
def test_an_endpoint_is_led_as_far_as_it_is_written_out(endpoint: str, place: str | None) -> None:
    assert SERVERS.lead_written(endpoint) == place
