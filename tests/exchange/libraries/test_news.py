"""Whether a source has something to do: asked of it and of the ledger, changing neither."""

from __future__ import annotations

import pytest

from exchange.libraries import journey, news
from exchange.libraries.batches import Held
from tests.exchange.libraries.conftest import ADA, BEN, City, DepartmentFeed, resident


@pytest.fixture
def asked(city_of: City, monkeypatch: pytest.MonkeyPatch) -> City:
    """The same departments for whoever asks for news."""
    monkeypatch.setattr(
        news,
        "open_feed",
        lambda manifest, _secrets: DepartmentFeed(manifest, city_of[manifest.source]),
    )
    return city_of


class TestHasNews:
    def test_until_it_is_loaded(self, asked: City) -> None:
        """A window that was not landed is news, one that was landed is work, then there is none."""
        asked["residents"].sends("1", [resident(ADA)])

        assert news.has_news(asked.settings, "residents")
        batch = journey.land(asked.settings, "residents")
        assert news.has_news(asked.settings, "residents")
        assert batch
        journey.load(asked.settings, batch)
        assert not news.has_news(asked.settings, "residents")

    def test_a_held_batch_is_a_persons(self, asked: City) -> None:
        """Nothing of that source moves until somebody decides, so there is nothing to do."""
        asked["residents"].sends("1", [resident(ADA, XBDM="?"), resident(BEN)])
        with pytest.raises(Held):
            journey.collect(asked.settings, "residents")
        asked["residents"].sends("2", [resident(ADA)], mode="changes")

        assert not news.has_news(asked.settings, "residents")
