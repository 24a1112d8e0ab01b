"""One authority a session, and documents that it has sealed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from exchange.database import Database
from exchange.settings import Settings
from license_vault.verify import StatusSource
from tests.conftest import RunningCluster, free_port
from tests.license_vault.office import Office, office
from tests.license_vault.verify import making
from tests.license_vault.verify.city import City, city_of
from tests.license_vault.verify.making import Authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who may seal here."""
    return Authority()


@pytest.fixture(scope="session")
def sealed_pdf(authority: Authority) -> bytes:
    """A license as the vault makes it: rendered, laid out and sealed by the vault's own code."""
    return making.issued(authority.seal)


@pytest.fixture(scope="session")
def credential(authority: Authority) -> bytes:
    """The same kind of license as an SD-JWT."""
    return making.credential(authority.seal).encode()


@pytest.fixture(scope="session")
def in_force(authority: Authority) -> StatusSource:
    """A hub whose status list says valid."""
    token = making.status_token(authority.seal)
    return lambda address: token


@pytest.fixture
def city(vault: Office) -> Iterator[City]:
    """A real vault with two licenses, and its hub."""
    with city_of(vault) as opened:
        yield opened


@pytest.fixture(scope="module")
def standing(
    cluster: RunningCluster, template: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[City]:
    """A city for the tests that only look: made once a module."""
    name = f"standing_{secrets.token_hex(6)}"
    cluster.create(name, template.name)
    home = tmp_path_factory.mktemp("standing")
    settings = Settings(
        home=home,
        public_url=f"http://127.0.0.1:{free_port()}",
        database=replace(template, name=name),
        sources=home / "sources",
    )
    with office(settings) as vault, city_of(vault) as opened:
        yield opened
    cluster.drop(name)
