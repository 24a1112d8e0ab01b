"""Pages by number, cursor and link; and sources whose pages do not add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.feeds import PermanentFailure, TransientFailure, Window
from connectors.feeds.http_links import next_of
from tests.connectors.feeds.paged import (
    COLUMNS,
    PAGING,
    Collection,
    feed_of,
    in_turn,
    manifest,
    page_of,
    read,
    rows,
)
from tests.connectors.feeds.serving import Asked, Reply, said

SNAPSHOT = Window("snapshot", None, "now")
TIME = {"by": "time", "since": "changed_since", "until": "changed_until", "look_back_s": 60}


class TestEveryWay:
    @pytest.mark.parametrize("count", [0, 1, 5, 12])
    @pytest.mark.parametrize("way", PAGING)
    def test_every_row_once(self, way: str, count: int) -> None:
        with feed_of(Collection(rows(count), PAGING[way]), manifest(PAGING[way])) as (feed, *_):
            window = feed.plan(None)
            assert window is not None
            found = [row for batch in feed.read(window) for row in batch.to_pylist()]

            assert rows(count) == found
            assert count == feed.totals(window).rows
            assert ("own_count" in feed.notices()) is ("total" not in PAGING[way])

    def test_the_first_question_carries_what_the_manifest_says(self) -> None:
        """Parameters of its own go with every numbered page and with no cursor."""
        for way, pages in (("number", ["1", "2", "3"]), ("cursor", [None, None])):
            source = manifest(PAGING[way], query={"state": "all"})
            with feed_of(Collection(rows(8), PAGING[way]), source) as (feed, served, _):
                list(feed.read(SNAPSHOT))

                assert pages == [asked.query.get("page") for asked in served.asked]
                assert "all" == served.asked[0].query["state"]
                assert ("state" in served.asked[-1].query) is (way == "number")

    def test_a_sample_takes_the_pages_that_it_needs(self) -> None:
        collection = Collection(rows(12), PAGING["number"])
        with feed_of(collection, manifest()) as (feed, served, _):
            assert rows(7) == feed.sample(7).to_pylist()
            assert 2 == len(served.asked)

    def test_a_sample_of_nothing_has_the_agreed_columns(self) -> None:
        with feed_of(Collection([], PAGING["number"]), manifest()) as (feed, *_):
            assert list(COLUMNS) == feed.sample(5).column_names


class TestPagesThatDoNotAddUp:
    def test_a_page_that_comes_again(self) -> None:
        """The source ignores the page's number."""
        first = page_of(rows(5))

        with pytest.raises(PermanentFailure, match=r"page 2 repeats page 1.*ends: short"):
            read(lambda _asked: first, manifest())

    def test_another_page_than_was_asked_for(self) -> None:
        answer = in_turn(page_of(rows(5), total=9, page=1), page_of(rows(9)[5:], total=9, page=3))

        with pytest.raises(PermanentFailure, match="page 2 was asked for and page 3 came"):
            read(answer, manifest(PAGING["number with total"]))

    @pytest.mark.parametrize("way", ["number with total", "cursor with more"])
    def test_rows_that_were_skipped(self, way: str) -> None:
        """The source promised more than its pages held."""
        answer = in_turn(
            page_of(rows(5), total=12, page=1, next="a", more=True),
            page_of(rows(10)[5:], total=12, page=2, next="b", more=True),
            page_of([], total=12, page=3, more=False),
        )

        with pytest.raises(PermanentFailure, match="speaks of 12 rows and its pages held 10"):
            read(answer, manifest(PAGING[way]))

    def test_a_short_page_in_the_middle(self) -> None:
        answer = in_turn(page_of(rows(5)), page_of(rows(9)[5:]), page_of(rows(14)[9:]))

        with pytest.raises(PermanentFailure, match="page 2 holds another number of rows"):
            read(answer, manifest())

    def test_rows_that_shifted(self) -> None:
        """Somebody inserted a row while we read: the last row of a page heads the next one."""
        answer = in_turn(page_of(rows(5)), page_of(rows(9)[4:]), page_of([]))

        with pytest.raises(TransientFailure, match=r"1 rows came on two pages.*may_repeat"):
            read(answer, manifest())

    def test_rows_that_the_source_holds_twice(self) -> None:
        """Where that is agreed they come as they are; what follows judges them."""
        held = [*rows(5), *rows(5)[:4]]
        paging = {**PAGING["number"], "may_repeat": True}

        assert held == read(Collection(held, paging), manifest(paging))

    def test_copies_on_one_page_are_no_shift(self) -> None:
        held = [*rows(2), *rows(2)]

        assert held == read(Collection(held, PAGING["number"]), manifest())

    def test_a_total_that_changes_on_the_way(self) -> None:
        answer = in_turn(page_of(rows(5), total=9), page_of(rows(8)[5:], total=8))

        with pytest.raises(TransientFailure, match="from 9 rows to 8"):
            read(answer, manifest(PAGING["number from nought"]))

    def test_a_total_that_is_owed(self) -> None:
        with pytest.raises(PermanentFailure, match="page 1 tells no number at total"):
            read(lambda _asked: page_of(rows(5)), manifest(PAGING["number from nought"]))

    @pytest.mark.parametrize(
        ("way", "rest"),
        [
            ("cursor", {"next": "again"}),
            ("link in the body", {"next_url": "/rows?at=5", "total": 99}),
        ],
    )
    def test_pages_that_never_end(self, way: str, rest: dict[str, Any]) -> None:
        """A cursor that comes back is a loop, not a page."""
        numbers = iter(range(99))

        def endless(_asked: Asked) -> Reply:
            return page_of([{"NO": str(next(numbers)), "XM": ""}], **rest)

        with pytest.raises(PermanentFailure, match="same cursor as a page before"):
            read(endless, manifest(PAGING[way]))

    def test_a_link_to_another_host(self) -> None:
        """Our credentials are for one host."""
        reply = page_of(rows(5), next_url="http://elsewhere.test/rows", total=9)

        with pytest.raises(PermanentFailure, match="another host"):
            read(lambda _asked: reply, manifest(PAGING["link in the body"]))

    @pytest.mark.parametrize("way", ["cursor", "link in the body"])
    def test_a_cursor_that_is_none(self, way: str) -> None:
        reply = page_of(rows(5), next={"a": 1}, next_url=["x"], total=9)

        with pytest.raises(PermanentFailure, match=r"is no (cursor|address)"):
            read(lambda _asked: reply, manifest(PAGING[way]))


class TestTotals:
    def test_an_endpoint_of_its_own(self) -> None:
        """Asked while the read goes on, or without one."""

        def answer(asked: Asked) -> Reply:
            if asked.path == "/count":
                return said({"n": 7})
            return Collection(rows(7), PAGING["number"])(asked)

        source = manifest(totals={"path": "/count", "rows": "n", "buckets": None})
        with feed_of(answer, source) as (feed, *_):
            assert 7 == feed.totals(SNAPSHOT).rows

    @pytest.mark.parametrize(
        "totals",
        [{}, {"rows": "many"}, {"rows": 1, "buckets": 3}, {"rows": 1, "buckets": [[1, 2]]}],
    )
    def test_totals_that_are_none(self, totals: dict[str, Any]) -> None:
        source = manifest(totals={"path": "/count"})
        with (
            feed_of(lambda _asked: said(totals), source) as (feed, *_),
            pytest.raises(PermanentFailure, match="the totals are no totals"),
        ):
            feed.totals(SNAPSHOT)

    def test_a_read_that_broke_tells_none(self) -> None:
        answer = in_turn(page_of(rows(5), total=9), said({}, 400))
        with feed_of(answer, manifest(PAGING["number from nought"])) as (feed, *_):
            with pytest.raises(PermanentFailure):
                list(feed.read(SNAPSHOT))
            with pytest.raises(TransientFailure, match="not read to the end"):
                feed.totals(SNAPSHOT)


class TestSettings:
    @pytest.mark.parametrize(
        ("feed", "told"),
        [
            ({"client_id": "PAGED_ID"}, "go together"),
            ({"operation": "op"}, "go together"),
            ({"window": {"by": "time", "zone": "Mars/Crater"}}, "no time zone"),
            ({"window": {"by": "time"}}, "need a total"),
            ({"window": {"by": "time", "form": "nonsense"}}, "form"),
            ({"path": "rows"}, "path"),
            ({"records": "a b"}, "records"),
            ({"headers": {"X Key": "PAGED_KEY"}}, "headers"),
        ],
    )
    def test_what_does_not_hang_together(self, feed: dict[str, Any], told: str) -> None:
        with pytest.raises(ValueError, match=told):
            manifest(**feed)


class TestLinkHeader:
    """RFC 8288, its own examples and the odd ones."""

    @pytest.mark.parametrize(
        ("header", "target"),
        [
            ("", None),
            ('<https://a.test/?p=2>; rel="next"', "https://a.test/?p=2"),
            ("<?p=2>; rel=next", "?p=2"),
            ('</1>; rel="prev", </3>; rel="next"', "/3"),
            ('</3>; rel="last next"', "/3"),
            ('</3>; REL="NEXT"', "/3"),
            ('</a,b;c>; title="x, <y>; rel=next"; rel="next"', "/a,b;c"),
            ('</3>; rel="prev"; rel="next"', None),
            ('</3>; rel="next"; anchor="#foo"', None),
            ('</3>; title="say \\"next\\""; rel=next', "/3"),
            ("</3>", None),
            ("nonsense", None),
            ("<" * 60_000, None),
        ],
    )
    def test_the_next_one(self, header: str, target: str | None) -> None:
        assert target == next_of(header)


@st.composite
def rough_ways(draw: st.DrawFn) -> tuple[str, int, int, list[int]]:
    """A way of paging, how many rows, how many a page, and which questions fail."""
    count = draw(st.integers(0, 40))
    size = draw(st.integers(1, 15))
    failing = draw(st.lists(st.integers(0, 60), max_size=20))
    return draw(st.sampled_from(sorted(PAGING))), count, size, failing


class TestAnyWay:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(rough_ways())
    def test_any_page_size_and_any_failures_give_every_row_once(
        self, way: tuple[str, int, int, list[int]]
    ) -> None:
        """503, 429, cut lines and torn bodies: as long as one try in six succeeds."""
        name, count, size, failing = way
        paging = {**PAGING[name]}
        if paging["by"] == "number":
            paging["size"] = size
        collection, tried = Collection(rows(count), paging, size), iter(range(10_000))

        def rough(asked: Asked) -> Reply:
            number = next(tried)
            reply = collection(asked)
            if number in failing and number - 1 not in failing:  # two in a row may be one too many
                return broken(reply, number)
            return reply

        with feed_of(rough, manifest(paging, patience_s=600)) as (feed, *_):
            window = feed.plan(None)
            assert window is not None
            found = [row for batch in feed.read(window) for row in batch.to_pylist()]

            assert rows(count) == found
            assert count == feed.totals(window).rows


def broken(reply: Reply, number: int) -> Reply:
    """The same answer gone wrong, in one of the ways that pass."""
    match number % 4:
        case 0:
            return said({}, 503)
        case 1:
            return said({}, 429, Retry_After="3")
        case 2:
            return Reply(reply.body, headers=reply.headers, cut=True)
    return Reply(reply.body[: len(reply.body) // 2], headers=reply.headers)


class TestWindows:
    """Between two moments of the source's own clock."""

    def test_a_later_pull_looks_back_a_little(self) -> None:
        """Its end is the source's clock, and what comes twice is an update twice."""
        paging = PAGING["cursor"]

        def answer(asked: Asked) -> Reply:
            reply = Collection(rows(3), paging)(asked)
            dated = {**reply.headers, "Date": "Mon, 05 Jan 2026 01:10:00 GMT"}
            return Reply(reply.body, headers=dated)

        with feed_of(answer, manifest(paging, window=TIME)) as (feed, served, _):
            window = feed.plan("2026-01-05T01:00:00+00:00")
            assert window is not None
            found = [row for batch in feed.read(window) for row in batch.to_pylist()]

            start, end = "2026-01-05T01:00:00+00:00", "2026-01-05T01:10:00+00:00"
            assert Window("changes", start, end) == window
            asked = served.asked[-1].query
            assert "2026-01-05T08:59:00+08:00" == asked["changed_since"]
            assert "2026-01-05T09:10:00+08:00" == asked["changed_until"]
            assert [("U", 1), ("U", 2), ("U", 3)] == [(row["_op"], row["_seq"]) for row in found]
            assert feed.notices()["clock_skew"] == 1

    def test_nothing_new_is_no_window(self) -> None:
        paging = PAGING["cursor"]
        with feed_of(Collection([], paging), manifest(paging, window=TIME)) as (feed, *_):
            assert feed.plan("2026-01-05T01:00:00+00:00") is None

    def test_the_first_pull_is_whole(self) -> None:
        paging = PAGING["cursor"]
        with feed_of(Collection([], paging), manifest(paging, window=TIME)) as (feed, *_):
            window = feed.plan(None)
            assert window is not None

            assert ("snapshot", None) == (window.mode, window.start)

    def test_a_clock_that_goes_back_is_named(self) -> None:
        paging = PAGING["cursor"]
        with (
            feed_of(Collection(rows(1), paging), manifest(paging, window=TIME)) as (feed, *_),
            pytest.raises(PermanentFailure, match=r"its clock is \d+ s behind"),
        ):
            feed.plan("2999-01-05T01:00:00+00:00")

    @pytest.mark.parametrize(
        ("form", "spoken"),
        [
            ("iso", "2026-01-05T08:59:00+08:00"),
            ("epoch_s", "1767574740"),
            ("epoch_ms", "1767574740000"),
            ("%Y-%m-%d %H:%M:%S", "2026-01-05 08:59:00"),
        ],
    )
    def test_moments_in_the_sources_words(self, form: str, spoken: str) -> None:
        paging, window = PAGING["cursor"], {**TIME, "form": form, "until": None}
        with feed_of(Collection([], paging), manifest(paging, window=window)) as (feed, served, _):
            feed.plan("2026-01-05T01:00:00+00:00")

            assert spoken == served.asked[0].query["changed_since"]
            assert "changed_until" not in served.asked[0].query
