"""The kill rounds can fail: their oracle sees what a product that promises too early has lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from exchange import probes
from exchange.database import Database, Role
from exchange.demo import clients
from exchange.ledger import integrator
from exchange.settings import Settings
from tests.conftest import free_port
from tests.journeys import journal, killing
from tests.journeys.oracle import evidence, libraries, vault

CALLS = 15
PATIENCE = 60.0
QUERIES = {"queries": "queries"}


@pytest.fixture
def home(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home that processes of their own can load, with the demo's clients registered."""
    port = free_port()
    home = tmp_path / "home"
    (home / "secrets").mkdir(mode=0o700, parents=True)
    for role, password in database.passwords.items():
        (home / "secrets" / f"{role}.password").write_text(password)
    (home / "public_url").write_text(f"http://127.0.0.1:{port}")
    address = f"postgresql://{database.host}:{database.port}/{database.name}"
    monkeypatch.setenv("YIZHAN_DATABASE_URL", address)
    monkeypatch.setenv("YIZHAN_HOME", str(home))
    settings = Settings.load()
    clients.introduce(settings)
    return settings


class TestPlantedFault:
    @pytest.mark.parametrize(("writer", "loses"), [("careful", False), ("hasty", True)])
    def test_a_kill_shows_who_answers_before_the_commit(
        self, home: Settings, tmp_path: Path, writer: str, loses: bool
    ) -> None:
        """The hub as it is loses no receipt; patched to answer first it does, and it is seen."""
        receipts = tmp_path / "queries"

        with _hub(writer, home) as hub, killing.under_load(home.home, tmp_path, QUERIES):
            _wait_for(lambda: len(journal.read(receipts)) >= CALLS)
            hub.kill()

        with home.database.connect(Role.LEDGER, autocommit=True) as ledger:
            while integrator.place(ledger):
                pass
            findings = list(evidence.receipts(ledger, journal.read(receipts)))
        assert loses == bool(findings), findings


class TestNothingThere:
    def test_a_product_that_kept_nothing_lost_everything(self, database: Database) -> None:
        """Each acknowledgement that an empty product gave is a finding."""
        with database.connect(Role.OWNER) as owner:
            assert 1 == len(list(evidence.receipts(owner, [str(uuid4())])))
            assert 1 == len(list(vault.licenses(owner, ["issued\tkey\tlicense"])))
            assert 2 == len(list(vault.licenses(owner, ["revoked\tkey\tlicense"])))
            assert 1 == len(list(libraries.sales(owner, ["unit\tbuyer\tnumber"])))
            assert 1 == len(list(libraries.moves(owner, ["person\taddress"])))

    def test_a_row_that_the_department_has_is_missed(self, database: Database) -> None:
        """A library without a row of the department's is told from one that refused it."""
        book = libraries.Book("real_estate.unit", ("unit_no", "location"), {"one": {("here",)}})

        with database.connect(Role.OWNER) as owner:
            assert 1 == len(list(book.compared(owner, refused=set())))
            assert [] == list(book.compared(owner, refused={"one"}))


@contextmanager
def _hub(writer: str, home: Settings) -> Iterator[subprocess.Popen[bytes]]:
    port = home.public_url.rpartition(":")[2]
    words = [sys.executable, "-m", "tests.journeys.hasty", writer, "--port", port]
    hub = subprocess.Popen(words, cwd=killing.REPOSITORY)
    try:
        _wait_for(probes.http(f"{home.public_url}/healthz"))
        yield hub
    finally:
        hub.kill()
        hub.wait()


def _wait_for(seen: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(httpx.TransportError):
            if seen():
                return
        assert time.monotonic() < until, f"it was not seen within {PATIENCE:.0f} s"
        time.sleep(0.02)
