"""Compressed responses as people's clients decode them."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from conftest import Curl
from echo import lines


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_curl_decodes_each_coding(curl: Curl, door: str, coding: str) -> None:
    features = {"gzip": "libz", "br": "brotli", "zstd": "zstd"}
    if features[coding] not in curl("--version"):
        pytest.skip(f"this curl does not know {coding}")
    for count in (0, 1, 100, 20_000):
        text = curl("--compressed", "-H", f"Accept-Encoding: {coding}", f"{door}/page/{count}")
        assert text == lines(count)
    head = curl("-D", "-", "-o", "/dev/null", "-H", f"Accept-Encoding: {coding}", f"{door}/page/100").lower()
    assert f"content-encoding: {coding}\r\n" in head
    assert 'etag: w/"v1"\r\n' in head


@pytest.mark.parametrize("way", ["http/1.1"], indirect=True)
def test_aiohttp_gets_compressed_what_it_asks_for(door: str) -> None:
    async def fetch() -> str:
        async with aiohttp.ClientSession(door) as client, client.get("/page/5000") as got:
            assert got.headers["content-encoding"] in ("gzip", "br", "zstd")
            return await got.text()

    assert asyncio.run(fetch()) == lines(5000)
