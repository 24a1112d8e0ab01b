"""Databases by DB-API drivers: MariaDB for real, SQLite, and PostgreSQL as its kin are reached."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.feeds import Feed, PermanentFailure, Totals, TransientFailure, dbapi, open_feed
from connectors.feeds.checksum import buckets
from connectors.feeds.dbapi import text_of
from connectors.feeds.sql_table import SOURCE_TYPE
from tests.connectors.feeds import mariadb
from tests.connectors.feeds.conftest import Police
from tests.connectors.feeds.mariadb import Server
from tests.connectors.feeds.pulling import pull
from tests.connectors.feeds.tables import COLUMNS, VARIABLE, Ledger, ledger, manifest_of

KINDS = ("ZS", "XS", "RQ", "SJ", "SF", "WB", "EJ", "WZ", "BZ")
MARIADB = """
    CREATE TABLE rkk.ryjbxx (
        ZS bigint unsigned, XS decimal(20,4), RQ date, SJ datetime(3), SF bit(1), WB varchar(50)
        CHARACTER SET gbk, EJ varbinary(8), WZ text, BZ double
    )"""
VALUES = (
    18446744073709551615,
    Decimal("-0.5000"),
    date(2026, 1, 5),
    datetime(2026, 1, 5, 12, 0, 0, 120000),
    1,
    "永康市 'quoted' \\ back",
    b"\x00\xff",
    "四字节𠮷",
    0.1,
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if reason := mariadb.missing():
        pytest.skip(reason)
    with mariadb.running(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def table(server: Server) -> Iterator[Server]:
    """A table of every kind of column, with one row of values and one of nothing."""
    server.run(MARIADB)
    server.run(f"INSERT INTO rkk.ryjbxx VALUES ({', '.join(['%s'] * len(KINDS))})", *VALUES)
    server.run("INSERT INTO rkk.ryjbxx () VALUES ()")
    yield server
    server.run("DROP TABLE IF EXISTS rkk.ryjbxx")


def feed_of(server: Server, columns: tuple[str, ...] = KINDS, **settings: Any) -> Feed:
    feed = {"kind": "sql_snapshot", "driver": "pymysql", **settings}
    return open_feed(manifest_of(feed, columns), {VARIABLE: server.address()})


def series(until: int) -> str:
    """The beginning of a query on `numbers`, one row for each n."""
    return (
        "WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers "
        f"WHERE n < {until})"
    )


class TestMariaDB:
    def test_every_kind_of_value_as_text(self, table: Server) -> None:
        """Exactly, and the server's own checksum agrees with ours (`pull` holds them together)."""
        pulled = pull(feed_of(table), KINDS)

        assert pulled.totals.buckets is not None
        assert [
            "18446744073709551615",
            "-0.5000",
            "2026-01-05",
            "2026-01-05 12:00:00.120",
            "1",
            "永康市 'quoted' \\ back",
            "00ff",
            "四字节𠮷",
            "0.1",
        ] == list(pulled.rows[0].values())
        assert {None} == set(pulled.rows[1].values())

    def test_a_day_that_is_none_comes_as_it_is(self, table: Server) -> None:
        """The driver would make nothing of it; what the source has is the library's to judge."""
        table.run("SET sql_mode = ''")
        table.run("INSERT IGNORE INTO rkk.ryjbxx (RQ) VALUES ('0000-00-00')")

        assert "0000-00-00" == pull(feed_of(table), KINDS).rows[2]["RQ"]

    def test_many_rows_in_batches(self, table: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dbapi, "ROWS", 100)
        table.run(f"INSERT INTO rkk.ryjbxx (ZS, WB) {series(950)} SELECT n, '王伟' FROM numbers")
        with closing(feed_of(table)) as feed:
            window = feed.plan(None)
            assert window is not None
            batches = list(feed.read(window))

            assert 10 == len(batches)
            assert buckets(batches, KINDS) == feed.totals(window).buckets

    def test_totals_of_another_thread_wait_and_are_of_what_was_read(self, table: Server) -> None:
        """One connection keeps one state; a clerk's deed in the meantime does not show."""
        with closing(feed_of(table)) as feed, ThreadPoolExecutor(1) as pool:
            window = feed.plan(None)
            assert window is not None
            reading = feed.read(window)
            batches = [next(reading)]
            totals = pool.submit(feed.totals, window)
            table.run("DELETE FROM rkk.ryjbxx")
            batches.extend(reading)

            assert buckets(batches, KINDS) == totals.result(timeout=30).buckets

    def test_by_cursor(self, table: Server) -> None:
        """With the server's clock and a look-back in its own words."""
        settings: dict[str, Any] = {"kind": "sql_cursor", "cursor": "SJ", "look_back": "10m"}
        first = pull(feed_of(table, **settings), KINDS)
        table.run("INSERT INTO rkk.ryjbxx (ZS, SJ) VALUES (7, '2026-01-05 11:55:00')")
        then = pull(feed_of(table, **settings), KINDS, first.window.end)

        assert {"18446744073709551615", "7"} == {row["ZS"] for row in then.rows}
        assert {"rows_without_cursor": 1} == first.notices

    def test_a_column_that_was_retyped_dropped_or_added(self, table: Server) -> None:
        """It is seen in what comes: the declared type, the names; nothing crashes."""
        table.run("ALTER TABLE rkk.ryjbxx MODIFY ZS decimal(20,0), DROP BZ, ADD XP blob")
        table.run("UPDATE rkk.ryjbxx SET XP = 'a photograph'")
        with closing(feed_of(table)) as feed:
            window = feed.plan(None)
            assert window is not None
            batch = next(iter(feed.read(window)))
        with closing(feed_of(table)) as feed:
            window = feed.plan(None)
            assert window is not None

            assert Totals(2) == feed.totals(window)
        assert b"decimal(20,0)" == batch.schema.field("ZS").metadata[SOURCE_TYPE]
        assert "BZ" not in batch.schema.names
        assert 2 == batch.column("XP").null_count

    def test_a_sample(self, table: Server) -> None:
        with closing(feed_of(table)) as feed:
            assert 1 == feed.sample(1).num_rows


class TestFailuresOfMariaDB:
    def test_a_wrong_password(self, table: Server) -> None:
        feed = {"kind": "sql_snapshot", "driver": "pymysql"}
        secrets = {VARIABLE: table.address(password="guessed")}

        with pytest.raises(PermanentFailure, match=r"password.*_DSN.*信息科"):
            open_feed(manifest_of(feed), secrets).plan(None)

    def test_a_server_that_is_down(self) -> None:
        feed = {"kind": "sql_snapshot", "driver": "pymysql"}
        secrets = {VARIABLE: "mysql://a:b@127.0.0.1:1/none"}

        with pytest.raises(TransientFailure, match="2003"):
            open_feed(manifest_of(feed), secrets).plan(None)

    def test_a_question_that_takes_too_long(self, table: Server) -> None:
        """A row is the time limit of the server, which is told which one."""
        table.run("CREATE VIEW rkk.slow AS SELECT ryjbxx.*, sleep(3) AS MS FROM rkk.ryjbxx")
        feed = feed_of(table, ("ZS", "MS"), table="slow", statement_timeout="1s")
        try:
            with pytest.raises(TransientFailure, match=r"1969|1317"), closing(feed):
                feed.sample(5)
        finally:
            table.run("DROP VIEW rkk.slow")

    def test_a_link_that_is_cut_while_rows_come(
        self, table: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pull may be tried again, and the next one succeeds."""
        monkeypatch.setattr(dbapi, "ROWS", 10)
        fill = f"{series(999)} SELECT repeat('永', 9999) FROM numbers"
        table.run(f"INSERT INTO rkk.ryjbxx (WZ) {fill}")
        with closing(feed_of(table)) as feed:
            window = feed.plan(None)
            assert window is not None
            reading = feed.read(window)
            next(reading)
            for [number] in table.run(
                "SELECT id FROM information_schema.processlist WHERE user = 'reader'"
            ):
                table.run(f"KILL CONNECTION {number}")

            with pytest.raises(TransientFailure, match="does not answer"):
                list(reading)
            assert next(feed.read(window)).num_rows

    def test_a_table_that_our_role_may_not_see(self, server: Server) -> None:
        with pytest.raises(PermanentFailure, match=r"no table mysql\.user, or our role may not"):
            pull(feed_of(server, COLUMNS, table="mysql.user"), COLUMNS)


class TestPostgresByDriver:
    def test_gaussdb_and_kingbase_are_reached_like_this(self, police: Police) -> None:
        """By a driver of libpq's family, with a server-side cursor and PostgreSQL's checksum."""
        with psycopg.connect(police.clerk) as clerk:
            clerk.execute('CREATE TABLE ryjbxx ("GMSFHM" text, "XM" text, "GXSJ" timestamptz)')
            clerk.execute("INSERT INTO ryjbxx VALUES ('1', '王伟', now()), ('2', NULL, NULL)")
        feed = {"kind": "sql_cursor", "cursor": "GXSJ", "driver": "psycopg"}
        pulled = pull(open_feed(manifest_of(feed), {VARIABLE: police.clerk}), COLUMNS)

        assert pulled.totals.buckets is not None
        assert ["王伟", None] == [row["XM"] for row in pulled.rows]


class TestSQLite:
    def test_values_as_text_and_a_count(self, tmp_path: Path) -> None:
        """It has no checksum of its own, so its totals are a count."""
        register = ledger(tmp_path / "register.db")
        register.run("INSERT INTO ryjbxx VALUES (1, 2.5, x'00ff'), ('永', NULL, '')")
        pulled = pull(register.feed(kind="sql_snapshot"), COLUMNS)

        assert Totals(2) == pulled.totals
        assert [["1", "2.5", "00ff"], ["永", None, ""]] == [
            list(row.values()) for row in pulled.rows
        ]

    def test_it_cannot_be_written_to(self, tmp_path: Path) -> None:
        """Not even by a table's name."""
        register = ledger(tmp_path / "register.db")
        register.write("1", "王伟", "2026-01-05")
        with pytest.raises(PermanentFailure, match="no table"):
            pull(register.feed(kind="sql_snapshot", table='ryjbxx"; DELETE FROM "ryjbxx'), COLUMNS)

        assert 1 == len(pull(register.feed(kind="sql_snapshot"), COLUMNS).rows)

    def test_a_file_that_is_not_there_yet(self, tmp_path: Path) -> None:
        with pytest.raises(TransientFailure, match="SQLITE_CANTOPEN"):
            Ledger(tmp_path / "none.db").feed(kind="sql_snapshot").plan(None)


class TestDrivers:
    def test_a_driver_that_is_not_installed(self) -> None:
        """Domestic engines' drivers come from their makers; the command is told."""
        feed = {"kind": "sql_snapshot", "driver": "dmPython"}
        secrets = {VARIABLE: "dm://reader:secret@127.0.0.1:5236/RKK"}

        with pytest.raises(PermanentFailure, match="pip install dmPython"):
            open_feed(manifest_of(feed), secrets).plan(None)

    def test_oracle_is_reached_by_its_thin_driver(self) -> None:
        """Nobody listens there: the pull may be tried again."""
        feed = {"kind": "sql_snapshot", "driver": "oracledb"}
        secrets = {VARIABLE: "oracle://reader:secret@127.0.0.1:1/RKK"}

        with pytest.raises(TransientFailure, match="DPY-6005"):
            open_feed(manifest_of(feed), secrets).plan(None)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, None),
            ("永", "永"),
            (True, "true"),
            (7, "7"),
            (0.1, "0.1"),
            (Decimal("1E+3"), "1000"),
            (Decimal("0.50"), "0.50"),
            (date(2026, 1, 5), "2026-01-05"),
            (datetime(2026, 1, 5, 12), "2026-01-05 12:00:00"),
            (time(9, 30), "09:30:00"),
            (b"\x00\xff", "00ff"),
        ],
    )
    def test_what_a_driver_hands_over_as_text(self, value: object, text: str | None) -> None:
        assert text == text_of(value)
