"""kill -9 in the middle of a batch, at every place where it could hurt; then the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from connectors.testkit.city import SOURCES, generate, registry
from exchange.database import Role
from exchange.libraries import journey, leftovers, staging, thematic
from exchange.settings import Settings
from tests.exchange.libraries.conftest import ADA, City, resident

# Runs a collect that kills itself on entering (or leaving) one function.
VICTIM = """
import os, signal, sys
from importlib import import_module
from exchange.libraries import journey
from exchange.settings import Settings

module, name, when = sys.argv[1:]
module = import_module(f"exchange.libraries.{module}")
deed = getattr(module, name)

def fatal(*given, **named):
    if when == "after":
        deed(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(module, name, fatal)
journey.collect(Settings.load(), "registrations")
"""
PLACES = [
    ("landing", "_sync", "before"),
    ("landing", "write", "after"),
    ("staging", "fill", "after"),
    ("tables", "finish", "after"),
    ("merge", "apply", "after"),
]
PEOPLE = 1000  # fewer, and the rows planted wrong are more than the guard allows


@pytest.fixture
def entities(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The registry's drop folder, and an environment from which another process finds it."""
    settings.sources.symlink_to(SOURCES)
    drop = tmp_path / "drop"
    registry.drop_whole(drop, date(2026, 1, 5), generate(seed=7, people=PEOPLE).registrations)
    (settings.home / "secrets").mkdir(mode=0o700)
    where = settings.database
    for role, password in where.passwords.items():
        (settings.home / "secrets" / f"{role}.password").write_text(password)
    monkeypatch.setenv("YIZHAN_HOME", str(settings.home))
    monkeypatch.setenv("YIZHAN_SOURCE_REGISTRATIONS_FOLDER", str(drop))
    url = f"postgresql://{where.host}:{where.port}/{where.name}"
    monkeypatch.setenv("YIZHAN_DATABASE_URL", url)
    return settings


class TestKilled:
    @pytest.mark.parametrize(("module", "name", "when"), PLACES)
    def test_nothing_is_lost_or_doubled(
        self, entities: Settings, module: str, name: str, when: str
    ) -> None:
        """The next run takes the batch over at once; the sweep removes what was left."""
        victim = subprocess.run(
            [sys.executable, "-c", VICTIM, module, name, when], env=os.environ, check=False
        )
        assert -signal.SIGKILL == victim.returncode

        leftovers.sweep(entities)
        journey.collect(entities, "registrations")
        expected = generate(seed=7, people=PEOPLE).truth.datasets["legal_entity.registration"]

        with entities.database.connect(Role.INGEST) as conn:
            row = conn.execute(
                "SELECT count(*), (SELECT count(*) FROM library.legal_entity_registration_history),"
                " (SELECT count(*) FROM library.batch"
                "  WHERE state = 'published' AND source = 'registrations')"
                " FROM library.legal_entity_registration"
            ).fetchone()
            assert (expected.library_rows, 0, 1) == row
            assert [] == staging.tables(conn)
        assert 1 == len(list((entities.landing / "registrations").iterdir()))


class TestSweep:
    def test_when_all_went_well_there_is_nothing(self, city_of: City) -> None:
        """A second sweep, too, finds nothing."""
        city_of["residents"].sends("1", [resident(ADA)])
        journey.collect(city_of.settings, "residents")
        for contract in thematic.thematic():
            thematic.build(city_of.settings, contract.id)

        assert leftovers.Swept((), (), 0, 0, 0) == leftovers.sweep(city_of.settings)

    def test_a_batch_that_was_landed_is_loaded(self, city_of: City) -> None:
        """Its run died before it could."""
        city_of["residents"].sends("1", [resident(ADA)])
        batch = journey.land(city_of.settings, "residents")

        assert (batch,) == leftovers.sweep(city_of.settings).loaded

    def test_a_held_batch_is_left_to_people(self, city_of: City) -> None:
        """The sweep releases nothing."""
        city_of["residents"].sends("1", [resident(ADA, XBDM="?")])
        journey.land(city_of.settings, "residents")

        assert () == leftovers.sweep(city_of.settings).loaded
        assert [("held",)] == city_of.rows("SELECT state FROM library.batch")
