"""Dry runs, whole comparisons and files that expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exchange.database import Role
from exchange.libraries import journey, leftovers, nightly, planning, staging
from exchange.libraries.plan import Plan
from schemas.contract import load as contract_of
from schemas.errors import Invalid
from tests.exchange.libraries.conftest import ADA, BEN, CAI, City, resident
from tests.exchange.libraries.test_snapshots import unguarded

__all__ = ["unguarded"]
HELD = "SELECT resident_id FROM library.population_resident ORDER BY 1"
OLD = datetime.now(UTC) - timedelta(days=365)


def planned(city: City) -> Plan:
    found = planning.plan(city.settings, "residents")
    assert found is not None
    return found


@pytest.fixture
def feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dry runs ask the departments of the test, as runs do."""
    monkeypatch.setattr(planning, "open_feed", lambda *given: vars(journey)["open_feed"](*given))


@pytest.mark.usefixtures("feeds")
class TestPlan:
    def test_nothing_new(self, city_of: City) -> None:
        assert planning.plan(city_of.settings, "residents") is None

    def test_it_says_what_the_run_does(self, unguarded: City) -> None:
        """New, changed, gone and refused, before and after there is a library."""
        unguarded["residents"].sends("1", [resident(ADA), resident(BEN)])
        first = planned(unguarded)
        journey.collect(unguarded.settings, "residents")
        unguarded["residents"].sends("2", [resident(ADA, "改"), resident(CAI, XBDM="?")])
        second = planned(unguarded)
        outcome = journey.collect(unguarded.settings, "residents")

        assert outcome is not None
        assert (2, 0, 0) == (first.inserted, first.updated, first.deleted)
        assert (0, 1, 1) == (second.inserted, second.updated, second.deleted)
        assert (0, 1, 1) == tuple(outcome.counts[p] for p in ("inserted", "updated", "deleted"))
        assert {"sex:unknown-code": 1} == second.reasons == outcome.counts["reasons"]

    def test_it_writes_nothing(self, unguarded: City) -> None:
        """No batch, no row, no file, no table, no broken reference."""
        unguarded["residents"].sends("1", [resident(ADA), resident(BEN, XBDM="?")])
        assert planned(unguarded).passes

        for table in ("batch", "population_resident", "quarantine", "broken_reference", "alias"):
            assert [(0,)] == unguarded.rows(f"SELECT count(*) FROM library.{table}")
        assert [] == list((unguarded.settings.landing / "residents").iterdir())
        with unguarded.settings.database.connect(Role.INGEST) as conn:
            assert [] == staging.tables(conn)

    def test_a_batch_that_would_be_held(self, city_of: City) -> None:
        """The guard speaks before the run does."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN, XBDM="?")])

        found = planned(city_of)
        assert not found.passes
        assert "in quarantine" in found.held[0]

    def test_drift_is_named(self, city_of: City) -> None:
        """A column too few stops the run, and the plan says which."""
        columns = [c for c in resident(ADA) if c != "XM"]
        city_of["residents"].columns = tuple(columns)
        city_of["residents"].sends("1", [{k: v for k, v in resident(ADA).items() if k != "XM"}])

        assert ("missing XM",) == planned(city_of).drift


@pytest.mark.usefixtures("feeds")
class TestNight:
    def test_what_no_window_told_is_found_and_mended(self, unguarded: City) -> None:
        """Somebody changed the library by hand; the whole comparison does not believe it."""
        unguarded["residents"].sends("1", [resident(ADA), resident(BEN)])
        journey.collect(unguarded.settings, "residents")
        nightly.compare(unguarded.settings, "residents")
        with unguarded.settings.database.connect(Role.INGEST) as conn:
            conn.execute("DELETE FROM library.population_resident WHERE resident_id = %s", (BEN,))

        with pytest.raises(Invalid, match="lacks 1 rows"):
            nightly.compare(unguarded.settings, "residents")

    def test_a_source_that_cannot_be_read_whole(self, city_of: City) -> None:
        """A slot tells what happened once, and never again."""
        with pytest.raises(planning.NotWhole):
            planning.plan(city_of.settings, "registrations", whole=True)


class TestExpiry:
    def test_an_old_file_goes_and_its_digest_stays(self, unguarded: City) -> None:
        """The last snapshot stays, however old, for the next is held against it."""
        for end in ("1", "2"):
            unguarded["residents"].sends(end, [resident(ADA, end)])
            journey.collect(unguarded.settings, "residents")
        retention = contract_of("population.resident").retention
        assert retention is not None
        assert retention < timedelta(days=365)
        with unguarded.settings.database.connect(Role.INGEST) as conn:
            conn.execute("UPDATE library.batch SET published_at = %s", (OLD,))

        assert 1 == leftovers.sweep(unguarded.settings).expired
        assert 0 == leftovers.sweep(unguarded.settings).expired
        assert [(False, True), (True, True)] == unguarded.rows(
            "SELECT file IS NOT NULL, digest IS NOT NULL FROM library.batch"
            " WHERE source = 'residents' ORDER BY id"
        )
        assert 1 == len(list((unguarded.settings.landing / "residents").iterdir()))
