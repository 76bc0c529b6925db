"""One set of services for all system tests, and for each test a gateway of its own with an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop
from stagedoor.demo.processes import Services


@pytest.fixture(scope="session")
def all_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with Services(tmp_path_factory.mktemp("ledgers")) as services:
        yield services


@pytest.fixture
def services(all_services: Services) -> Services:
    """Told to work well before each test; their ledgers go on."""
    all_services.clear()
    return all_services


@pytest.fixture
def own_services(tmp_path: Path) -> Iterator[Services]:
    """For tests that count everything: with empty ledgers."""
    with Services(tmp_path / "ledgers") as services:
        yield services


@pytest.fixture
def shop(services: Services, tmp_path: Path) -> Iterator[Shop]:
    """Not started yet."""
    shop = Shop(services, tmp_path)
    yield shop
    shop.kill()
