"""The police's database, read for real: snapshot, change log, writers that are slow to commit."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime

import psycopg
import pyarrow as pa
import pytest
from psycopg.conninfo import make_conninfo

from connectors.feeds import (
    Feed,
    Manifest,
    PermanentFailure,
    Totals,
    TransientFailure,
    Window,
    open_feed,
    sql_changes,
)
from connectors.feeds.checksum import buckets
from connectors.feeds.sql_table import SOURCE_TYPE
from connectors.testkit.city import City, population
from tests.connectors.feeds.conftest import Police
from tests.connectors.feeds.pulling import pull

AT = datetime(2026, 2, 1, 9, tzinfo=UTC)


@pytest.fixture
def manifest(manifests: dict[str, Manifest]) -> Manifest:
    return manifests["residents"]


@pytest.fixture
def feed(manifest: Manifest, police: Police) -> Iterator[Feed]:
    with closing(opened(manifest, police.reader)) as feed:
        yield feed


def opened(manifest: Manifest, dsn: str) -> Feed:
    return open_feed(manifest, {"YIZHAN_SOURCE_RESIDENTS_DSN": dsn})


class TestSnapshot:
    def test_every_row_as_the_source_has_it(
        self, feed: Feed, manifest: Manifest, city: City
    ) -> None:
        """Text as the source gave it, duplicates and all, and its own totals agree."""
        pulled = pull(feed, manifest.source_columns)

        assert pulled.window == Window("snapshot", None, "0")
        assert key(city.residents) == key(pulled.rows)

    def test_totals_are_of_the_moment_that_was_read(
        self, feed: Feed, manifest: Manifest, police: Police, city: City
    ) -> None:
        """A clerk who works while we read does not make the sums differ."""
        window = feed.plan(None)
        assert window is not None
        rows = sum(batch.num_rows for batch in feed.read(window))
        population.strike(police.clerk, city.truth.cast.buyer.resident_id)

        assert rows == feed.totals(window).rows

    def test_totals_are_computed_beside_the_reading(
        self, feed: Feed, manifest: Manifest, police: Police, city: City
    ) -> None:
        """In another thread, while rows stream, of the very rows that stream."""
        window = feed.plan(None)
        assert window is not None
        reading = feed.read(window)
        batches = [next(reading)]
        population.strike(police.clerk, city.truth.cast.buyer.resident_id)

        with ThreadPoolExecutor(1) as pool:
            totals = pool.submit(feed.totals, window).result(timeout=30)
        batches.extend(reading)

        assert totals.buckets == buckets(batches, manifest.source_columns)

    def test_totals_may_be_asked_first(
        self, feed: Feed, manifest: Manifest, police: Police, city: City
    ) -> None:
        """Whoever comes first holds the state for both."""
        window = feed.plan(None)
        assert window is not None
        with ThreadPoolExecutor(1) as pool:
            totals = pool.submit(feed.totals, window).result(timeout=30)
        population.strike(police.clerk, city.truth.cast.buyer.resident_id)

        assert totals.buckets == buckets(list(feed.read(window)), manifest.source_columns)

    def test_a_retyped_column_is_seen_in_its_field(self, feed: Feed, police: Police) -> None:
        """Text stays text; the type that the source declares comes beside it."""
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute('ALTER TABLE rkk.ryjbxx ALTER "CSRQ" TYPE timestamp')

        window = feed.plan(None)
        assert window is not None
        schema = next(iter(feed.read(window))).schema

        assert pa.string() == schema.field("CSRQ").type
        assert b"timestamp without time zone" == schema.field("CSRQ").metadata[SOURCE_TYPE]

    def test_columns_that_were_not_agreed_are_shown_without_values(
        self, feed: Feed, police: Police
    ) -> None:
        """A new column is drift that must be seen, and a photograph that must not be taken."""
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute("""ALTER TABLE rkk.ryjbxx ADD COLUMN "XP" text DEFAULT 'a photograph'""")
        window = feed.plan(None)
        assert window is not None
        batch = next(iter(feed.read(window)))

        assert batch.num_rows == batch.column("XP").null_count

    def test_a_column_that_is_gone_is_seen_in_what_comes(self, feed: Feed, police: Police) -> None:
        """Totals are then a count alone, and the rows come with the columns that there are."""
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute('ALTER TABLE rkk.ryjbxx RENAME COLUMN "LXDH" TO "SJHM"')
        window = feed.plan(None)
        assert window is not None

        batches = list(feed.read(window))

        assert "LXDH" not in batches[0].schema.names
        assert "SJHM" in batches[0].schema.names
        assert Totals(sum(batch.num_rows for batch in batches)) == feed.totals(window)


class TestSample:
    def test_the_first_rows_with_what_was_agreed(self, feed: Feed, police: Police) -> None:
        """As many as were asked for, and no value of a column that was not agreed."""
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute("""ALTER TABLE rkk.ryjbxx ADD COLUMN "XP" text DEFAULT 'a photograph'""")

        sample = feed.sample(5)

        assert 5 == sample.num_rows == sample.column("XP").null_count
        assert 0 == sample.column("GMSFHM").null_count


class TestChanges:
    def test_nothing_new_is_no_window(self, feed: Feed) -> None:
        assert feed.plan("0") is None

    def test_inserts_updates_and_deletions_in_order(
        self, feed: Feed, manifest: Manifest, police: Police, city: City
    ) -> None:
        """What clerks did comes by the log, each with its operation and number."""
        moved, gone = city.truth.cast.owner.resident_id, city.truth.cast.buyer.resident_id
        population.move(police.clerk, moved, address="金城路1号", at=AT)
        population.strike(police.clerk, gone)
        population.admit(police.clerk, {**city.residents[0], "GMSFHM": "11010519491231002X"})
        population.report_death(police.clerk, moved, on=date(2026, 1, 31), at=AT)

        pulled = pull(feed, manifest.source_columns, "0")

        assert [("U", 1), ("D", 2), ("I", 3), ("U", 4)] == [
            (row["_op"], row["_seq"]) for row in pulled.rows
        ]
        assert ["金城路1号", None] == [pulled.rows[0]["JZDZ"], pulled.rows[0]["SWRQ"]]
        assert gone == pulled.rows[1]["GMSFHM"]
        assert "2026-01-31" == pulled.rows[3]["SWRQ"]
        assert Window("changes", "0", "4") == pulled.window

    def test_a_change_that_commits_late_is_not_lost(
        self,
        feed: Feed,
        manifest: Manifest,
        police: Police,
        city: City,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Number 1 is drawn first and commits last; number 2 alone must not move the cursor."""
        monkeypatch.setattr(sql_changes, "PATIENCE", 0.2)
        slow, quick = city.truth.cast.owner.resident_id, city.truth.cast.buyer.resident_id

        with open_writer(police, slow):
            population.strike(police.clerk, quick)
            assert feed.plan("0") is None

        assert [slow, quick] == [
            row["GMSFHM"] for row in pull(feed, manifest.source_columns, "0").rows
        ]

    def test_the_first_snapshot_waits_for_open_writers(
        self, feed: Feed, police: Police, city: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a settled number there is nothing from which to follow the log."""
        monkeypatch.setattr(sql_changes, "PATIENCE", 0.2)

        with (
            open_writer(police, city.truth.cast.owner.resident_id),
            pytest.raises(TransientFailure),
        ):
            feed.plan(None)


class TestFailures:
    def test_a_database_that_is_down_may_be_tried_again(self, manifest: Manifest) -> None:
        feed = opened(manifest, "postgresql://a:b@127.0.0.1:1/none")

        with pytest.raises(TransientFailure, match="does not answer"):
            feed.plan(None)

    def test_a_wrong_password_is_for_whoever_gave_it(
        self, manifest: Manifest, police: Police
    ) -> None:
        """The server answers and will not let us in next time either; its text is not repeated."""
        wrong = manifest.model_copy(update={"contact": "信息科 0579-12345678"})
        feed = opened(wrong, make_conninfo(police.reader, password="guessed"))

        with pytest.raises(PermanentFailure, match=r"password.*_DSN.*信息科 0579-12345678"):
            feed.plan(None)

    def test_an_address_that_is_none(self, manifest: Manifest) -> None:
        with pytest.raises(PermanentFailure, match="no address of a PostgreSQL database"):
            opened(manifest, "the database in room 4")

    def test_a_link_that_is_cut_while_rows_come(self, feed: Feed, police: Police) -> None:
        """The pull ends in a failure to be tried again, and the next one succeeds."""
        enlarge(police)
        window = feed.plan(None)
        assert window is not None
        reading = feed.read(window)
        next(reading)
        cut(police)

        with pytest.raises(TransientFailure, match="does not answer"):
            list(reading)
        assert next(feed.read(window)).num_rows

    def test_a_link_that_is_cut_while_totals_are_computed(self, feed: Feed, police: Police) -> None:
        """The state that both would speak of is gone with it."""
        window = feed.plan(None)
        assert window is not None
        next(feed.read(window))
        cut(police)

        with pytest.raises(TransientFailure):
            feed.totals(window)

    def test_a_question_that_takes_too_long(self, manifest: Manifest, police: Police) -> None:
        """It may go faster another time, and the limit is named."""
        settings = manifest.feed.model_copy(update={"statement_timeout": "1s"})
        feed = opened(manifest.model_copy(update={"feed": settings}), police.reader)
        with psycopg.connect(police.clerk) as clerk, closing(feed):
            clerk.execute("LOCK TABLE rkk.ryjbxx")

            with pytest.raises(TransientFailure, match="longer than 1s"):
                feed.sample(1)

    def test_a_role_that_may_not_read_is_told_what_to_run(self, feed: Feed, police: Police) -> None:
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute("REVOKE SELECT ON rkk.ryjbxx_bg FROM rkk_reader")

        with pytest.raises(PermanentFailure, match="GRANT SELECT"):
            feed.plan(None)

    def test_a_table_that_is_gone_is_for_its_owner(
        self, feed: Feed, police: Police, city: City
    ) -> None:
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute("DROP TABLE rkk.ryjbxx_bg")

        with pytest.raises(PermanentFailure, match=r"42P01.*永康市公安局 must repair"):
            feed.plan(None)

    def test_an_operation_nobody_knows(self, feed: Feed, police: Police) -> None:
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute(
                """INSERT INTO rkk.ryjbxx_bg ("BGLX", "GMSFHM", "XM") VALUES ('T', '1', 'x')"""
            )
        window = feed.plan("0")
        assert window is not None

        with pytest.raises(PermanentFailure, match="operation"):
            list(feed.read(window))

    def test_the_reader_can_only_read(self, police: Police, city: City) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            population.strike(police.reader, city.truth.cast.owner.resident_id)

    def test_a_name_that_nobody_set(self, manifest: Manifest) -> None:
        with pytest.raises(PermanentFailure, match="YIZHAN_SOURCE_RESIDENTS_DSN"):
            open_feed(manifest, {})


def key(rows: list[dict[str, str | None]]) -> list[tuple[str, ...]]:
    return sorted(tuple(cell or "" for cell in row.values()) for row in rows)


def enlarge(police: Police) -> None:
    """So many and so long rows that they do not come at once."""
    with psycopg.connect(police.clerk) as clerk:
        clerk.execute("ALTER TABLE rkk.ryjbxx DISABLE TRIGGER bg")
        clerk.execute(
            """UPDATE rkk.ryjbxx SET "HJDZ" = repeat('永', 200), "JZDZ" = repeat('康', 200)"""
        )
        clerk.execute("INSERT INTO rkk.ryjbxx SELECT t.* FROM rkk.ryjbxx t, generate_series(1, 24)")


def cut(police: Police) -> None:
    """End the sessions of the reader, as a restart of the server does."""
    with psycopg.connect(police.clerk) as clerk:
        clerk.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rkk_reader' "
            "AND datname = current_database()"
        )


@contextmanager
def open_writer(police: Police, resident_id: str) -> Iterator[None]:
    """A clerk who has changed a row and has not yet committed when the block begins."""
    with psycopg.connect(police.clerk) as clerk:
        clerk.execute('DELETE FROM rkk.ryjbxx WHERE "GMSFHM" = %s', (resident_id,))
        yield
