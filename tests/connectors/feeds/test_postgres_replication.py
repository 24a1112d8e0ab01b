"""A logical slot of a real server: snapshot, changes, slots that are lost, missing rights."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connectors.feeds import Feed, PermanentFailure, Totals, Window, open_feed, postgres_replication
from exchange import bootstrap
from exchange.postgres import Cluster
from tests.conftest import free_port
from tests.connectors.feeds.pulling import Pulled, pull
from tests.connectors.feeds.tables import VARIABLE, manifest_of

COLUMNS = ("GMSFHM", "XM", "SWBS", "BZ")
TABLE = """
    CREATE TABLE ryjbxx ("GMSFHM" char(6) PRIMARY KEY, "XM" text, "SWBS" boolean, "BZ" text);
    GRANT SELECT ON ryjbxx TO reader;
    CREATE PUBLICATION yizhan FOR TABLE ryjbxx;
    CREATE TABLE other (n int);
"""


class Logical(Cluster):
    """A server whose log has the changes of rows."""

    def command(self) -> list[str]:
        """With little to spare for a slot that nobody reads."""
        options = ("wal_level=logical", "max_slot_wal_keep_size=1MB", "fsync=off")
        sizes = ("min_wal_size=32MB", "max_wal_size=32MB")
        return [*super().command(), *(f"-c{option}" for option in (*options, *sizes))]


@dataclass(frozen=True)
class Source:
    """The department's database: the clerk's address and the reader's."""

    clerk: str
    reader: str

    def run(self, *statements: str) -> None:
        """Deeds of the clerk, each a transaction."""
        with psycopg.connect(self.clerk, autocommit=True) as clerk:
            for statement in statements:
                clerk.execute(statement.encode())

    def feed(self, **settings: Any) -> Feed:
        """A feed that reads it with the reader's rights."""
        feed = {"kind": "postgres_replication", "publication": "yizhan", **settings}
        return open_feed(manifest_of(feed, COLUMNS), {VARIABLE: self.reader})

    def pull(self, cursor: str | None = None) -> Pulled:
        """A window, held against the source's totals."""
        return pull(self.feed(), COLUMNS, cursor)

    def slots(self) -> list[str]:
        """The slots that there are."""
        with psycopg.connect(self.clerk) as clerk:
            found = clerk.execute("SELECT slot_name FROM pg_replication_slots ORDER BY 1")
            return [name for (name,) in found]


@pytest.fixture(scope="session")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The administrator's address of the server."""
    home: Path = tmp_path_factory.mktemp("logical")
    cluster, password = Logical(home / "postgres", free_port()), bootstrap.superuser_password(home)
    cluster.prepare(password)
    with (home / "log").open("wb") as log:
        user = cluster.os_user
        argv = cluster.command()
        server = subprocess.Popen(argv, stdout=log, stderr=log, user=user, group=user)
    try:
        cluster.wait(password)
        with cluster.connect(password) as admin:
            admin.execute("CREATE ROLE reader LOGIN REPLICATION PASSWORD 'read-only'")
            yield make_conninfo(admin.info.dsn, password=admin.info.password)
    finally:
        server.send_signal(2)  # SIGINT: PostgreSQL's fast shutdown
        server.wait(timeout=30)


@pytest.fixture
def source(logical: str) -> Iterator[Source]:
    """A database with the table of three people; its slots go away with it."""
    name = f"source_{secrets.token_hex(4)}"
    with psycopg.connect(logical, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        clerk = make_conninfo(logical, dbname=name)
        made = Source(clerk, make_conninfo(clerk, user="reader", password="read-only"))
        made.run(
            TABLE,
            "INSERT INTO ryjbxx VALUES ('1', '周秀英', false)",
            "INSERT INTO ryjbxx VALUES ('2', '王伟'), ('3', '李明')",
        )
        yield made
        admin.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def told(pulled: Pulled) -> list[tuple[str, str, str | None]]:
    return [(row["_op"], row["GMSFHM"], row["XM"]) for row in pulled.rows]


class TestSnapshot:
    def test_a_slot_is_made_then_the_table_is_read(self, source: Source) -> None:
        """Whole, with the checksum of the server, as text that a cast shows."""
        first = source.pull()

        assert "snapshot" == first.window.mode
        assert ["yizhan_table_1"] == source.slots()
        assert ["1", "2", "3"] == [row["GMSFHM"] for row in first.rows]
        assert "false" == first.rows[0]["SWBS"]
        assert first.totals.buckets is not None

    def test_what_happens_while_it_is_read_comes_with_the_changes(self, source: Source) -> None:
        """It may be seen twice and is never missed."""
        with closing(source.feed()) as feed:
            window = feed.plan(None)
            assert window is not None
            source.run("INSERT INTO ryjbxx VALUES ('4', '赵静')")
            reading = feed.read(window)
            first = next(reading)
            source.run("INSERT INTO ryjbxx VALUES ('5', '钱强')")

        assert 4 == first.num_rows
        assert [("I", "4", "赵静"), ("I", "5", "钱强")] == told(source.pull(window.end))

    def test_a_pull_that_was_killed_begins_again(self, source: Source) -> None:
        """With a new slot of the same name, and none left over."""
        with closing(source.feed()) as feed:
            feed.plan(None)
        source.run("INSERT INTO ryjbxx VALUES ('4', '赵静')")

        assert 4 == len(source.pull().rows)
        assert ["yizhan_table_1"] == source.slots()


class TestChanges:
    def test_in_the_order_of_their_commits(self, source: Source) -> None:
        """Inserts, updates and deletions, each with its values as `text` casts show them."""
        first = source.pull()
        source.run(
            "INSERT INTO ryjbxx VALUES ('4', '赵静', true)",
            """UPDATE ryjbxx SET "XM" = '王炜' WHERE "GMSFHM" = '2'""",
            """DELETE FROM ryjbxx WHERE "GMSFHM" = '3'""",
        )
        then = source.pull(first.window.end)

        assert [("I", "4", "赵静"), ("U", "2", "王炜"), ("D", "3", None)] == told(then)
        assert [1, 2, 3] == [row["_seq"] for row in then.rows]
        assert ["true", None, None] == [row["SWBS"] for row in then.rows]
        assert Totals(3) == then.totals

    def test_a_new_number_is_a_row_that_goes_and_one_that_comes(self, source: Source) -> None:
        """The old one would stay for ever."""
        first = source.pull()
        source.run("""UPDATE ryjbxx SET "GMSFHM" = '9' WHERE "GMSFHM" = '2'""")

        assert [("D", "2", None), ("U", "9", "王伟")] == told(source.pull(first.window.end))

    def test_a_slot_moves_on_only_when_the_batch_was_published(self, source: Source) -> None:
        """Until the cursor comes back the same changes are there, and more."""
        first = source.pull()
        source.run("INSERT INTO ryjbxx VALUES ('4', '赵静')")
        lost = source.pull(first.window.end)
        source.run("INSERT INTO ryjbxx VALUES ('5', '钱强')")
        again = source.pull(first.window.end)
        source.run("INSERT INTO ryjbxx VALUES ('6', '孙丽')")
        then = source.pull(again.window.end)

        assert [["4"], ["4", "5"], ["6"]] == [
            [row["GMSFHM"] for row in pulled.rows] for pulled in (lost, again, then)
        ]

    def test_a_window_that_is_read_again_is_the_same(self, source: Source) -> None:
        """Whatever has happened since it was planned."""
        first = source.pull()
        source.run("INSERT INTO ryjbxx VALUES ('4', '赵静')")
        then = source.pull(first.window.end)
        source.run("INSERT INTO ryjbxx VALUES ('5', '钱强')")

        with closing(source.feed()) as feed:
            rows = [row for batch in feed.read(then.window) for row in batch.to_pylist()]

        assert then.rows == rows

    def test_what_is_rolled_back_or_of_another_table_is_nothing(self, source: Source) -> None:
        """The slot moves on, so that the source may forget it."""
        first = source.pull()
        source.run("INSERT INTO other VALUES (1)")
        with psycopg.connect(source.clerk) as clerk:
            clerk.execute("INSERT INTO ryjbxx VALUES ('4', '赵静')")
            clerk.rollback()

        with closing(source.feed()) as feed:
            assert feed.plan(first.window.end) is None
        with psycopg.connect(source.clerk) as clerk:
            [[moved]] = clerk.execute(
                "SELECT confirmed_flush_lsn > %s::pg_lsn FROM pg_replication_slots",
                (first.window.end.partition(":")[2],),
            )
        assert moved

    def test_many_changes_come_in_windows(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """None torn apart in the middle of a transaction, none left out."""
        monkeypatch.setattr(postgres_replication, "CHANGES", 10)
        monkeypatch.setattr(postgres_replication, "ROWS", 4)
        window = source.pull().window
        source.run(*(
            f"INSERT INTO ryjbxx SELECT n, 'x' FROM generate_series({at}, {at + 6}) n"
            for at in (100, 200, 300)
        ))  # fmt: skip
        found = list[str]()
        while True:
            with closing(source.feed()) as feed:
                if feed.plan(window.end) is None:
                    break
            pulled = source.pull(window.end)
            found.extend(row["GMSFHM"] for row in pulled.rows)
            window = pulled.window

        assert [str(at + n) for at in (100, 200, 300) for n in range(7)] == found

    def test_totals_of_another_thread(self, source: Source) -> None:
        """They wait for the end of the reading: a slot has one reader at a time."""
        cursor = source.pull().window.end
        source.run("INSERT INTO ryjbxx SELECT n, 'x' FROM generate_series(10, 99) n")
        with closing(source.feed()) as feed, ThreadPoolExecutor(1) as pool:
            window = feed.plan(cursor)
            assert window is not None
            reading = feed.read(window)
            next(reading)
            totals = pool.submit(feed.totals, window)

            assert [] == list(reading)
            assert Totals(90) == totals.result(timeout=30)


class TestLargeValues:
    def test_what_an_update_did_not_touch_is_fetched(self, source: Source) -> None:
        """The server leaves a large value out of its log."""
        large = "".join(secrets.token_hex(32) for _ in range(200))
        source.run(f"""UPDATE ryjbxx SET "BZ" = '{large}' WHERE "GMSFHM" = '2'""")
        source.run('ALTER TABLE ryjbxx ALTER "BZ" SET STORAGE EXTERNAL')
        first = source.pull()
        source.run("""UPDATE ryjbxx SET "XM" = '王炜' WHERE "GMSFHM" = '2'""")
        then = source.pull(first.window.end)

        assert [("U", "2", "王炜")] == told(then)
        assert large == then.rows[0]["BZ"]
        assert 1 == then.notices["rows_completed"]

    def test_with_replica_identity_full_it_is_sent(self, source: Source) -> None:
        source.run("ALTER TABLE ryjbxx REPLICA IDENTITY FULL")
        large = "".join(secrets.token_hex(32) for _ in range(200))
        source.run(f"""UPDATE ryjbxx SET "BZ" = '{large}' WHERE "GMSFHM" = '2'""")
        first = source.pull()
        source.run("""UPDATE ryjbxx SET "XM" = '王炜' WHERE "GMSFHM" = '2'""")
        then = source.pull(first.window.end)

        assert large == then.rows[0]["BZ"]
        assert "rows_completed" not in then.notices

    def test_a_row_that_is_gone_by_now_is_deleted(self, source: Source) -> None:
        """The deletion comes anyway, a little later."""
        large = "".join(secrets.token_hex(32) for _ in range(200))
        source.run(f"""UPDATE ryjbxx SET "BZ" = '{large}' WHERE "GMSFHM" = '2'""")
        first = source.pull()
        source.run(
            """UPDATE ryjbxx SET "XM" = '王炜' WHERE "GMSFHM" = '2'""",
            """DELETE FROM ryjbxx WHERE "GMSFHM" = '2'""",
        )

        assert ["D", "D"] == [row["_op"] for row in source.pull(first.window.end).rows]


class TestSlotHealth:
    def test_a_slot_that_is_gone_is_made_anew(self, source: Source) -> None:
        """With a snapshot, for what happened meanwhile is not to be had in another way."""
        first = source.pull()
        source.run("SELECT pg_drop_replication_slot('yizhan_table_1')")
        then = source.pull(first.window.end)

        assert ("snapshot", 1) == (then.window.mode, then.notices["slot_lost"])
        assert ["yizhan_table_2"] == source.slots()

    def test_a_slot_that_fell_behind_the_limit_is_made_anew(self, source: Source) -> None:
        """The source has thrown its changes away, as its owner had set it."""
        first = source.pull()
        for _ in range(3):
            source.run("SELECT pg_logical_emit_message(false, '', repeat('x', 20000000))")
            source.run("CHECKPOINT")
        then = source.pull(first.window.end)

        assert ("snapshot", 1) == (then.window.mode, then.notices["slot_lost"])

    def test_a_table_that_was_truncated_is_a_snapshot(self, source: Source) -> None:
        """Until it is published the old slot stays: whoever dies in between finds it again."""
        first = source.pull()
        source.run("TRUNCATE ryjbxx", "INSERT INTO ryjbxx VALUES ('4', '赵静')")
        with closing(source.feed()) as feed:
            feed.plan(first.window.end)
        assert ["yizhan_table_1", "yizhan_table_2"] == source.slots()

        then = source.pull(first.window.end)
        assert ("snapshot", 1) == (then.window.mode, then.notices["table_truncated"])
        assert ["4"] == [row["GMSFHM"] for row in then.rows]

        source.run("INSERT INTO ryjbxx VALUES ('5', '钱强')")
        assert [("I", "5", "钱强")] == told(source.pull(then.window.end))
        assert ["yizhan_table_2"] == source.slots()

    def test_a_slot_that_keeps_the_source_from_forgetting(self, source: Source) -> None:
        """How many megabytes it keeps is told with the batch."""
        first = source.pull()
        source.run("SELECT pg_logical_emit_message(false, '', repeat('x', 3000000))")
        source.run("INSERT INTO ryjbxx VALUES ('4', '赵静')")

        notices = source.pull(first.window.end).notices
        assert notices["slot_lag_mb"] >= 2
        assert "slot_without_limit" not in notices


class TestSchemaChanges:
    def test_new_renamed_and_dropped_columns(self, source: Source) -> None:
        """Rows come with the columns that the table has now; what was not agreed has no value."""
        first = source.pull()
        source.run(
            "INSERT INTO ryjbxx VALUES ('4', '赵静')",
            """ALTER TABLE ryjbxx ADD "XP" text DEFAULT 'a photograph'""",
            """ALTER TABLE ryjbxx RENAME "XM" TO "XINGMING" """,
            """ALTER TABLE ryjbxx DROP "SWBS" """,
            "INSERT INTO ryjbxx VALUES ('5', '钱强')",
        )
        with closing(source.feed()) as feed:
            window = feed.plan(first.window.end)
            assert window is not None
            [batch] = feed.read(window)

        assert ["GMSFHM", "XINGMING", "BZ", "XP", "_op", "_seq"] == batch.schema.names
        assert ["4", "5"] == batch.column("GMSFHM").to_pylist()
        assert 2 == batch.column("XP").null_count == batch.column("XINGMING").null_count


class TestWhatIsMissing:
    def test_the_publication(self, source: Source) -> None:
        """Its owner is told what to run, and no slot is made."""
        source.run("DROP PUBLICATION yizhan")

        with pytest.raises(PermanentFailure, match="CREATE PUBLICATION yizhan FOR TABLE ryjbxx"):
            source.pull()
        assert [] == source.slots()

    def test_the_right_to_have_a_slot(self, source: Source) -> None:
        source.run("ALTER ROLE reader NOREPLICATION")
        try:
            with pytest.raises(PermanentFailure, match="ALTER ROLE reader REPLICATION"):
                source.pull()
        finally:
            source.run("ALTER ROLE reader REPLICATION")

    def test_a_log_without_rows(self, police: Any) -> None:
        """A server as it is installed does not write what slots need."""
        feed = {"kind": "postgres_replication", "publication": "yizhan"}

        with pytest.raises(PermanentFailure, match="SET wal_level = 'logical'"):
            open_feed(manifest_of(feed, COLUMNS), {VARIABLE: police.clerk}).plan(None)

    def test_a_cursor_of_another_kind(self, source: Source) -> None:
        with pytest.raises(PermanentFailure, match="no position of a slot"):
            source.feed().plan("17")

    def test_a_table_that_our_role_may_not_read(self, source: Source) -> None:
        source.run("REVOKE SELECT ON ryjbxx FROM reader")

        with pytest.raises(PermanentFailure, match="GRANT SELECT"):
            source.pull()


def test_a_window_is_of_its_slot(source: Source) -> None:
    """The cursor says which slot, and from where."""
    window = source.pull().window

    assert Window("snapshot", None, window.end) == window
    assert window.end.startswith("1:")
