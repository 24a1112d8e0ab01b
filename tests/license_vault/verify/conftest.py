"""One authority a session, and documents that it has sealed."""

from __future__ import annotations

import pytest

from license_vault.verify import StatusSource
from tests.license_vault.verify import making
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
