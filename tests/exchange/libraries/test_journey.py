"""A batch's journey from a department into the library."""

from __future__ import annotations

from exchange.libraries import journey
from exchange.libraries.batches import State
from tests.exchange.libraries.conftest import ADA, BEN, City, resident


class TestCollect:
    def test_rows_come_in_once(self, city_of: City) -> None:
        """What the department sends is in the library, and asking again brings nothing."""
        city_of["residents"].sends("1", [resident(ADA), resident(BEN)])

        outcome = journey.collect(city_of.settings, "residents")

        assert outcome is not None
        assert State.PUBLISHED == outcome.state
        assert 2 == outcome.counts["inserted"]
        assert [(ADA,), (BEN,)] == sorted(
            city_of.rows("SELECT resident_id FROM library.population_resident")
        )
        assert journey.collect(city_of.settings, "residents") is None
