"""Services that describe themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from kitchen import Kitchen, serve
from running import until
from translated import cluster, start


@pytest.mark.parametrize("services", [[], ["kitchen.v1.Kitchen"]])
def test_without_its_word_there_is_503_and_with_it_an_answer(tmp_path: Path, services: list[str]) -> None:
    server, port = serve(Kitchen(), reflect=True)
    server.stop(None).wait()
    descriptors = {"reflection": {"timeout": "1s"}}
    policies = {"translate": {"grpc": {"descriptors": descriptors, "services": services}}}
    door = start(tmp_path, {"kitchen": cluster(port)}, {"all": {"policies": policies}})
    try:
        answer = door.request("GET", "/v1/shelves/1")
        assert (answer.status, answer.json["type"].partition("#")[2]) == (503, "descriptors-unavailable")
        assert "retry-after" in answer.headers
        server, _ = serve(Kitchen(), address=f"127.0.0.1:{port}", reflect=True)
        until(lambda: door.request("GET", "/v1/shelves/1").status == 200)
        server.stop(None).wait()
    finally:
        door.kill()


def test_the_cluster_that_a_version_leads_to_describes_itself(tmp_path: Path) -> None:
    silent, port = serve(Kitchen())
    telling, other = serve(Kitchen(), reflect=True)
    api = {"version": {"header": "kitchen-version"}, "default": "v2", "versions": {"v1": {"cluster": "old"}, "v2": {}}}
    policies = {"translate": {"grpc": {"descriptors": {"reflection": {"timeout": "1s"}}}}}
    clusters = {"kitchen": cluster(port), "old": cluster(other)}
    door = start(tmp_path, clusters, {"all": {"policies": policies, "api": "kitchen"}}, apis={"kitchen": api})
    try:
        answer = door.request("GET", "/v1/shelves/1", headers={"kitchen-version": "v1"})
        assert (answer.status, answer.json.get("method")) == (200, "GetShelf")
        # The other one says nothing of itself, and what is known of the first is not of it.
        assert door.request("GET", "/v1/shelves/1").status == 503
    finally:
        door.kill()
        silent.stop(None).wait()
        telling.stop(None).wait()
