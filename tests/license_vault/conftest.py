"""Fixtures of the vault's tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.settings import Settings
from license_vault.signer import keystore
from tests.license_vault.office import Office, SignerThread, office


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a keystore, made once."""
    home = tmp_path_factory.mktemp("keys")
    keystore.open_or_make(home)
    return home


@pytest.fixture
def vault(settings: Settings, keys: Path) -> Iterator[Office]:
    """An office with an empty vault, its signer in a thread."""
    shutil.copytree(keys, settings.home, dirs_exist_ok=True)
    with office(settings, SignerThread) as opened:
        yield opened


@pytest.fixture
def guarded(settings: Settings) -> Iterator[Office]:
    """An office whose signer is a process of its own, as in production, and can be killed."""
    with office(settings) as opened:
        yield opened
