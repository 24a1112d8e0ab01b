"""Fixtures of the vault's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exchange.settings import Settings
from tests.license_vault.office import Office, office


@pytest.fixture
def vault(settings: Settings) -> Iterator[Office]:
    """An office with a running signer and an empty vault."""
    with office(settings) as opened:
        yield opened
