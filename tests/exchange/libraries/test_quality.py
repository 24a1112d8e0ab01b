"""A score a dataset and day, and what moved it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from exchange.database import Role
from exchange.libraries import batches, quality
from exchange.libraries.batches import Batch
from exchange.libraries.quality import Score
from exchange.settings import Settings
from schemas.contract import load as contract_of

DATASET = "population.resident"
MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # ten in the morning in Shanghai
DAY = timedelta(days=1)


@pytest.fixture
def conn(settings: Settings) -> Iterator[psycopg.Connection]:
    with settings.database.connect(Role.INGEST) as connection:
        yield connection


def published(conn: psycopg.Connection, at: datetime, rows: int | None = None) -> Batch:
    """A batch that was published at that moment, of a source that counts so many rows."""
    row = conn.execute(
        "INSERT INTO library.batch (source, dataset, mode, window_end, state, published_at,"
        " source_totals) VALUES ('s', %s, 'changes', %s, 'published', %s,"
        " jsonb_build_object('rows', %s::bigint)) RETURNING id",
        (DATASET, at.isoformat(), at, rows),
    ).fetchone()
    assert row is not None
    return batches.get(conn, row[0])


def scored(conn: psycopg.Connection, at: datetime, landed: int = 100, **counts: Any) -> Score:
    return quality.score(conn, published(conn, at, landed), {"landed": landed, **counts})


class TestScore:
    def test_nothing_wrong_is_a_hundred(self, conn: psycopg.Connection) -> None:
        """In every dimension, with nothing that moved it."""
        score = scored(conn, MONDAY)

        assert (100.0, None) == (score.score, score.moved_by)
        assert dict.fromkeys(quality.POINTS, 100.0) == score.dimensions

    @pytest.mark.parametrize(
        ("counts", "dimension", "points"),
        [
            ({"reasons": {"name:required": 10}}, "completeness", 2.0),
            ({"reasons": {"sex:unknown-code": 10}}, "validity", 2.5),
            ({"reasons": {"rule:sex-matches-number": 10}}, "consistency", 2.0),
            ({"reasons": {"key:conflict": 10}}, "uniqueness", 1.5),
            ({"flagged": {"holder_id:reference": 40}}, "consistency", 2.0),
            ({"flagged": {"resident_id:division": 40}}, "validity", 2.5),
            ({"duplicate": 40}, "uniqueness", 1.5),
        ],
    )
    def test_what_fails_costs_its_dimension(
        self, conn: psycopg.Connection, counts: dict[str, Any], dimension: str, points: float
    ) -> None:
        """A tenth of the rows refused, or two fifths flagged, costs a tenth of the points."""
        score = scored(conn, MONDAY, **counts)

        assert 100 - points == pytest.approx(score.score)
        assert 90 == pytest.approx(score.dimensions[dimension])

    def test_a_dimension_does_not_fall_below_zero(self, conn: psycopg.Connection) -> None:
        """Rows that are wrong in three ways do not cost three times their points."""
        reasons = {f"{field}:required": 100 for field in ("name", "sex", "ethnicity")}

        assert 80.0 == scored(conn, MONDAY, reasons=reasons).score

    def test_a_gap_in_the_count_costs(self, conn: psycopg.Connection) -> None:
        """A batch that a person released although the source counts otherwise."""
        score = quality.score(conn, published(conn, MONDAY, 100), {"landed": 50})

        assert 95.0 == score.score

    def test_a_late_batch_costs(self, conn: psycopg.Connection) -> None:
        """Half of the second's time was beyond what the contract promises: a quarter of the day."""
        promised = contract_of(DATASET).freshness
        scored(conn, MONDAY)

        late = scored(conn, MONDAY + 2 * promised)

        assert 75 == pytest.approx(late.dimensions["timeliness"], abs=0.01)

    def test_the_batches_of_a_day_are_one(self, conn: psycopg.Connection) -> None:
        """Shares are of all the day's rows; the day is Shanghai's."""
        scored(conn, MONDAY, 100, reasons={"sex:unknown-code": 10})
        score = scored(conn, MONDAY + timedelta(hours=13), 300)

        assert (400, 2, MONDAY.date()) == (score.landed, len(score.batches), score.day)
        assert 97.5 == pytest.approx(score.dimensions["validity"])
        assert (MONDAY + DAY).date() == scored(conn, MONDAY + timedelta(hours=14)).day

    def test_the_same_batch_counts_once(self, conn: psycopg.Connection) -> None:
        """However often it is published."""
        batch = published(conn, MONDAY, 100)
        counts = {"landed": 100, "reasons": {"sex:unknown-code": 10}}

        first, again = (quality.score(conn, batch, counts) for _ in range(2))

        assert first == again
        assert [first] == quality.scores(conn, dataset=DATASET)

    def test_an_empty_batch_is_no_fault(self, conn: psycopg.Connection) -> None:
        """A department with nothing to say has said nothing wrong."""
        assert 100.0 == scored(conn, MONDAY, 0).score


class TestMoved:
    def test_the_rule_with_the_largest_change_is_named(self, conn: psycopg.Connection) -> None:
        """Down by one rule, up again by the same; by points, not by rows."""
        scored(conn, MONDAY, reasons={"name:required": 1})
        down = scored(conn, MONDAY + DAY, reasons={"name:required": 3, "sex:unknown-code": 80})
        up = scored(conn, MONDAY + 2 * DAY, reasons={"name:required": 3})

        assert ("sex:unknown-code", -20.0) == (down.moved_by, down.moved_points)
        assert ("sex:unknown-code", 20.0) == (up.moved_by, up.moved_points)
        assert down.score == up.score_before

    def test_it_is_compared_with_the_last_day_there_is(self, conn: psycopg.Connection) -> None:
        """A weekend without batches is no day before."""
        monday = scored(conn, MONDAY)

        assert monday.score == scored(conn, MONDAY + 3 * DAY).score_before

    def test_the_hub_reads_scores(self, conn: psycopg.Connection, settings: Settings) -> None:
        """They are figures."""
        scored(conn, MONDAY)
        conn.commit()

        with settings.database.connect(Role.HUB) as hub:
            assert 1 == len(quality.scores(hub))
