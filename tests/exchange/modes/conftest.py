"""A hub with one resident, one client and its grant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.client import Client
from exchange.settings import Settings
from tests.exchange.hubs import RunningHub, add_resident, running_hub


@pytest.fixture
def hub(settings: Settings) -> Iterator[RunningHub]:
    """A running hub whose library holds one resident."""
    with running_hub(settings) as running:
        add_resident(running)
        yield running


@pytest.fixture
def client(hub: RunningHub) -> Iterator[Client]:
    """A registered client, without a grant."""
    with hub.client() as opened:
        yield opened
