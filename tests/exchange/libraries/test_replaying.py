"""Days again: which batches a day is, and that loading them again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from exchange.libraries import journey, replaying
from exchange.libraries.replaying import Day, day_of
from schemas.errors import NotFound
from tests.exchange.libraries.conftest import ADA, BEN, City, resident

SHANGHAI = "Asia/Shanghai"


class TestDayOf:
    def test_a_day_is_the_departments(self) -> None:
        """Half past midnight in Shanghai is still the day before in Greenwich."""
        day = day_of(datetime(2026, 11, 21, 16, 30, tzinfo=UTC), SHANGHAI)

        assert datetime(2026, 11, 21, 16, 0, tzinfo=UTC) == day.start
        assert timedelta(days=1) == day.end - day.start


class TestReplay:
    @pytest.fixture
    def today(self, city_of: City) -> Day:
        """A day on which the police sent everything, then a change."""
        police = city_of["residents"]
        police.sends("1", [resident(ADA), resident(BEN)])
        police.sends("2", [resident(ADA, name="王大明")], mode="changes")
        while journey.collect(city_of.settings, "residents"):
            pass
        return day_of(datetime.now(UTC), SHANGHAI)

    def test_changes_nothing(self, city_of: City, today: Day) -> None:
        """Every batch of the day again, in its order: rows and history are as before."""
        before = city_of.content("population_resident")

        done = replaying.replay(city_of.settings, "residents", today)

        assert 2 == len(done.replayed)
        assert () == done.expired
        assert before == city_of.content("population_resident")

    def test_passes_over_what_has_expired(self, city_of: City, today: Day) -> None:
        """A batch whose Parquet is gone is said, and the others are replayed."""
        oldest = min((city_of.settings.landing / "residents").iterdir(), key=lambda p: p.name)
        oldest.unlink()

        done = replaying.replay(city_of.settings, "residents", today)

        assert (1, 1) == (len(done.replayed), len(done.expired))

    def test_knows_whose_batches_a_day_has(self, city_of: City, today: Day) -> None:
        """Those that landed something; of them those that were asked for, and no typo."""
        yesterday = Day(today.start - timedelta(days=1), today.start)

        assert ["residents"] == replaying.sources(city_of.settings, today)
        assert [] == replaying.sources(city_of.settings, today, ["units"])
        assert [] == replaying.sources(city_of.settings, yesterday)
        with pytest.raises(NotFound):
            replaying.sources(city_of.settings, today, ["resident"])
