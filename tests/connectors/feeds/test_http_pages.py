"""The land registry's API in its own process: tokens, pages, rests, busy minutes, a sale."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from connectors.feeds import (
    Feed,
    Manifest,
    PermanentFailure,
    TransientFailure,
    Window,
    http_pages,
    open_feed,
)
from connectors.feeds.http_pages import PagesFeed
from connectors.testkit.city import City, transfer
from schemas.errors import Refused
from tests.connectors.feeds.conftest import Registry
from tests.connectors.feeds.pulling import pull

AT = datetime(2026, 2, 1, 9, tzinfo=UTC)
Answer = Callable[[httpx.Request], httpx.Response]


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


class TestFailures:
    def test_wrong_credentials_are_for_people_to_solve(
        self, estate: Registry, manifests: dict[str, Manifest]
    ) -> None:
        secrets = {**estate.secrets, "YIZHAN_SOURCE_ESTATE_SECRET": "a guess"}

        with (
            closing(open_feed(manifests["units"], secrets)) as feed,
            pytest.raises(PermanentFailure, match=r"401.*永康市自然资源和规划局"),
        ):
            feed.plan(None)

    def test_a_registry_that_is_down_may_be_tried_again(
        self, manifests: dict[str, Manifest]
    ) -> None:
        feed, pauses = recorded(manifests["units"], lambda _request: broken())

        with pytest.raises(TransientFailure, match="no answer after 6 tries"):
            feed.plan(None)

        assert pauses == sorted(pauses)
        assert {"line_broken": 6, "retries": 6} == feed.notices()

    def test_retry_after_is_obeyed(self, manifests: dict[str, Manifest]) -> None:
        """We pause as long as we are asked to; a date that has passed is no pause."""
        waits = iter(["7", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", None])

        def answer(_request: httpx.Request) -> httpx.Response:
            wait = next(waits)
            return said({"position": 4}) if wait is None else resting(wait)

        feed, pauses = recorded(manifests["units"], answer)

        assert Window("snapshot", None, "4") == feed.plan(None)
        assert [7.0, 0.0, 4 * http_pages.FIRST_PAUSE] == pauses

    def test_a_long_rest_ends_the_pull(self, manifests: dict[str, Manifest]) -> None:
        """Nobody sleeps for a day in a task, and nobody knocks again before it is over."""
        feed, pauses = recorded(manifests["units"], lambda _request: resting("86400"))

        with pytest.raises(TransientFailure, match="wait 86400 s"):
            feed.plan(None)

        assert [] == pauses

    def test_redirects_are_not_followed(self, manifests: dict[str, Manifest]) -> None:
        """The token is for one host."""
        feed, _ = recorded(
            manifests["units"],
            lambda _request: httpx.Response(302, headers={"Location": "http://elsewhere.test/"}),
        )

        with pytest.raises(PermanentFailure, match="302"):
            feed.plan(None)

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>",
            b"[]",
            b'{"position": "soon"}',
            b"[" * 100_000,
            pytest.param(b" " * (http_pages.PAGE_LIMIT + 1), id="oversize"),
        ],
    )
    def test_nonsense_is_for_the_owner(self, manifests: dict[str, Manifest], body: bytes) -> None:
        feed, _ = recorded(manifests["units"], lambda _request: httpx.Response(200, content=body))

        with pytest.raises(PermanentFailure, match="must repair"):
            feed.plan(None)

    @pytest.mark.parametrize(
        "rows",
        [[{"BDCDYH": ["a", "list"]}], [{"BDCDYH": "1"}, "no row"], "no rows", [[]]],
        ids=["a list in a cell", "a text for a row", "a text for rows", "a list for a row"],
    )
    def test_rows_that_are_no_rows(self, manifests: dict[str, Manifest], rows: Any) -> None:
        feed, _ = recorded(manifests["units"], lambda _request: said({"rows": rows, "next": None}))

        with pytest.raises(PermanentFailure, match="flat text"):
            list(feed.read(Window("snapshot", None, "9")))

    def test_numbers_stay_the_text_that_was_written(self, manifests: dict[str, Manifest]) -> None:
        """89.50 must not become 89.5: checksums and people would notice."""
        body = b'{"rows": [{"BDCDYH": "1", "MJ": 89.50, "ZRZH": 3, "YT": null}], "next": null}'
        feed, _ = recorded(manifests["units"], lambda _request: httpx.Response(200, content=body))

        [batch] = feed.read(Window("snapshot", None, "9"))

        assert [{"BDCDYH": "1", "MJ": "89.50", "YT": None, "ZRZH": "3"}] == batch.to_pylist()

    def test_a_column_that_appears_half_way(self, manifests: dict[str, Manifest]) -> None:
        pages = iter(
            [
                said({"rows": [{"BDCDYH": "1"}], "next": "more"}),
                said({"rows": [{"BDCDYH": "2", "XP": "photo"}], "next": None}),
            ]
        )
        feed, _ = recorded(manifests["units"], lambda _request: next(pages))

        with pytest.raises(PermanentFailure, match="new columns: XP"):
            list(feed.read(Window("snapshot", None, "9")))

    def test_pages_that_never_end(self, manifests: dict[str, Manifest]) -> None:
        """A cursor that comes back is a loop, not a page."""
        page = {"rows": [{"BDCDYH": "1"}], "next": "again"}
        feed, _ = recorded(manifests["units"], lambda _request: said(page))

        with pytest.raises(PermanentFailure, match="same cursor"):
            list(feed.read(Window("snapshot", None, "9")))


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


def recorded(manifest: Manifest, answer: Answer) -> tuple[Feed, list[float]]:
    """A feed whose source answers like `answer` once it has a token, and the pauses it makes."""
    pauses: list[float] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return said({"access_token": "t"})
        return answer(request)

    feed = PagesFeed(
        manifest,
        base_url="http://estate.test",
        credentials=("us", "secret"),
        sleep=pauses.append,
        transport=httpx.MockTransport(handle),
    )
    return feed, pauses


def said(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(body).encode())


def resting(wait: str) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": wait})


def broken() -> httpx.Response:
    raise httpx.ConnectError("refused")
