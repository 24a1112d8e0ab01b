"""The land registry's API in its own process: tokens, pages, rests, busy minutes, a sale."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.feeds import Manifest, PermanentFailure, Window, open_feed
from connectors.testkit.city import City, open_registry, transfer
from schemas.errors import Refused
from tests.connectors.feeds.conftest import Registry
from tests.connectors.feeds.pulling import pull

AT = datetime(2026, 2, 1, 9, tzinfo=UTC)


class TestFullPull:
    @pytest.mark.parametrize("source", ["units", "rights"])
    def test_every_row_once_and_the_way_was_rough(
        self, estate: Registry, manifests: dict[str, Manifest], city: City, source: str
    ) -> None:
        """All rows arrive, the API's own checksum agrees, and both 429 and 503 were met."""
        manifest = manifests[source]

        pulled = pull(open_feed(manifest, estate.secrets), manifest.source_columns)

        assert getattr(city, source) == pulled.rows
        assert "snapshot" == pulled.window.mode
        assert pulled.notices["http_429"] > 0
        assert pulled.notices["http_503"] > 0

    def test_a_restart_in_the_middle_loses_nothing(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        """Pages go on where they were: the store survives, and the token is renewed."""
        with closing(open_feed(manifests["units"], estate.secrets)) as feed:
            window = feed.plan(None)
            assert window is not None
            pages = feed.read(window)
            rows = next(pages).to_pylist()
            estate.stop()
            estate.start()
            for page in pages:
                rows += page.to_pylist()

        assert city.units == rows

    def test_a_sample_is_the_first_rows(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        with closing(open_feed(manifests["units"], estate.secrets)) as feed:
            assert city.units[:3] == feed.sample(3).to_pylist()

    def test_sums_grow_with_the_collection(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        """A bucket of a hundred rows has a sum of nineteen digits and more."""
        open_registry(estate.folder, replace(city, units=city.units * 100))

        with closing(open_feed(manifests["units"], estate.secrets)) as feed:
            window = feed.plan(None)
            assert window is not None
            totals = feed.totals(window)

        assert 100 * len(city.units) == totals.rows
        assert max(total for _, total in totals.buckets or ()) > 10**18


class TestSale:
    def test_the_seller_becomes_history_and_the_buyer_gets_a_certificate(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        """The sale comes as two changes; a snapshot afterwards says the same."""
        cast, manifest = city.truth.cast, manifests["rights"]
        before = str(len(city.units) + len(city.rights))

        certificate = sell(estate, city)
        pulled = pull(open_feed(manifest, estate.secrets), manifest.source_columns, before)

        assert Window("changes", before, str(int(before) + 2)) == pulled.window
        assert [
            ("U", "2", cast.owner.resident_id, AT.isoformat()),
            ("I", "1", cast.buyer.resident_id, AT.isoformat()),
        ] == [(row["_op"], row["QSZT"], row["ZJH"], row["GXSJ"]) for row in pulled.rows]
        assert certificate == pulled.rows[1]["BDCQZH"] != pulled.rows[0]["BDCQZH"]
        assert pulled.rows[1]["YWH"] != pulled.rows[0]["YWH"]

    def test_a_window_reads_the_same_whatever_happens_meanwhile(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        """A snapshot planned before the sale is the registry before the sale."""
        manifest = manifests["rights"]
        with closing(open_feed(manifest, estate.secrets)) as feed:
            window = feed.plan(None)
            assert window is not None
            sell(estate, city)
            rows = [row for batch in feed.read(window) for row in batch.to_pylist()]

            assert city.rights == rows
            assert len(rows) == feed.totals(window).rows

    def test_nothing_new_is_no_window(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        """A sale changes rights and leaves units alone."""
        sell(estate, city)

        with closing(open_feed(manifests["units"], estate.secrets)) as feed:
            assert feed.plan(str(len(city.units))) is None

    def test_a_position_that_goes_back_is_named(
        self, estate: Registry, manifests: dict[str, Manifest], city: City
    ) -> None:
        """A restored system has lost changes that we hold; nobody may guess which."""
        after = str(len(city.units) + 1)

        with (
            closing(open_feed(manifests["units"], estate.secrets)) as feed,
            pytest.raises(PermanentFailure, match=r"went back from \d+ to \d+"),
        ):
            feed.plan(after)

    def test_the_registry_refuses_what_the_law_does(self, estate: Registry, city: City) -> None:
        """Seized units stay where they are; nobody sells what is not registered, or twice."""
        seized = next(
            row["BDCDYH"] for row in city.rights if row["QLLX"] == "CFDJ" and row["QSZT"] == "1"
        )
        sell(estate, city)

        for unit in (seized, "330784999001GB00001F00010001", city.truth.cast.unit_no):
            with pytest.raises(Refused):
                sell(estate, city, unit=str(unit))

    def test_only_a_clerk_may(self, estate: Registry, city: City) -> None:
        with pytest.raises(Refused, match="401"):
            sell(estate, city, token="a guess")


class TestCredentials:
    def test_wrong_ones_are_for_people_to_solve(
        self, estate: Registry, manifests: dict[str, Manifest]
    ) -> None:
        secrets = {**estate.secrets, "YIZHAN_SOURCE_ESTATE_SECRET": "a guess"}

        with (
            closing(open_feed(manifests["units"], secrets)) as feed,
            pytest.raises(PermanentFailure, match=r"401.*永康市自然资源和规划局"),
        ):
            feed.plan(None)


def sell(estate: Registry, city: City, *, unit: str = "", token: str = "") -> str:
    """Sell the story's unit, or another, to the story's buyer."""
    cast = city.truth.cast
    return transfer(
        estate.url,
        token or estate.access.clerk_token,
        unit or cast.unit_no,
        cast.buyer.resident_id,
        cast.buyer.name,
        AT,
    )
