"""Tables read whole each time, and skipped where the manifest says how an unchanged one looks."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.feeds import PermanentFailure, TransientFailure, open_feed
from tests.connectors.feeds.conftest import Police
from tests.connectors.feeds.pulling import Pulled, pull
from tests.connectors.feeds.tables import COLUMNS, VARIABLE, Ledger, ledger, manifest_of


@pytest.fixture
def register(tmp_path: Path) -> Ledger:
    made = ledger(tmp_path / "register.db")
    made.write("1", "周秀英", "2026-01-05 09:00:00")
    made.write("2", "王伟", "2026-01-05 12:00:00")
    return made


def pulled(register: Ledger, cursor: str | None = None, **settings: Any) -> Pulled:
    return pull(register.feed(kind="sql_snapshot", **settings), COLUMNS, cursor)


def skipped(register: Ledger, cursor: str, **settings: Any) -> bool:
    with closing(register.feed(kind="sql_snapshot", **settings)) as feed:
        return feed.plan(cursor) is None


class TestReading:
    def test_every_row_each_time(self, register: Ledger) -> None:
        """Changes and deletions are for the library to find."""
        first = pulled(register)
        register.run("DELETE FROM ryjbxx WHERE GMSFHM = '1'")
        then = pulled(register, first.window.end)

        assert ["1", "2"] == sorted(row["GMSFHM"] for row in first.rows)
        assert ["2"] == [row["GMSFHM"] for row in then.rows]
        assert {"snapshot"} == {first.window.mode, then.window.mode}

    def test_a_sample(self, register: Ledger) -> None:
        with closing(register.feed(kind="sql_snapshot")) as feed:
            assert 1 == feed.sample(1).num_rows
            assert 2 == feed.sample(10).num_rows

    def test_a_table_that_is_not_there(self, register: Ledger) -> None:
        with pytest.raises(PermanentFailure, match=r"no table qyjbxx.*永康市公安局 \(信息科\)"):
            pulled(register, table="qyjbxx")


class TestRaces:
    def test_a_column_that_is_dropped_just_now(self, police: Police) -> None:
        """The pull may be tried again, and then finds the table as it is."""
        manifest, secrets = manifest_of({"kind": "sql_snapshot"}), {VARIABLE: police.clerk}
        with (
            psycopg.connect(police.clerk, autocommit=True) as clerk,
            closing(open_feed(manifest, secrets)) as feed,
        ):
            clerk.execute('CREATE TABLE ryjbxx ("GMSFHM" text, "XM" text, "GXSJ" date)')
            window = feed.plan(None)
            assert window is not None
            clerk.execute('ALTER TABLE ryjbxx DROP "XM"')

            with pytest.raises(TransientFailure, match="was changed while we began"):
                list(feed.read(window))
            assert [] == list(feed.read(window))


class TestFingerprints:
    @pytest.mark.parametrize("fingerprint", ["rows", ["GXSJ"]])
    def test_an_unchanged_table_is_not_read(self, register: Ledger, fingerprint: Any) -> None:
        first = pulled(register, fingerprint=fingerprint)

        assert skipped(register, first.window.end, fingerprint=fingerprint)

    @pytest.mark.parametrize("fingerprint", ["rows", "checksum", ["GXSJ"]])
    def test_one_more_row_is_a_change(self, register: Ledger, fingerprint: Any) -> None:
        first = pulled(register, fingerprint=fingerprint)
        register.write("3", "李明", "2026-01-05 11:00:00")

        assert not skipped(register, first.window.end, fingerprint=fingerprint)

    def test_a_new_highest_value_is_a_change(self, register: Ledger) -> None:
        first = pulled(register, fingerprint=["GXSJ"])
        register.write("1", "周秀英", "2026-01-06 09:00:00")

        assert not skipped(register, first.window.end, fingerprint=["GXSJ"])

    def test_an_engine_that_cannot_sum_is_always_read(self, register: Ledger) -> None:
        """A number of rows is no checksum."""
        first = pulled(register, fingerprint="checksum")

        assert not skipped(register, first.window.end, fingerprint="checksum")

    def test_without_one_a_table_is_always_read(self, register: Ledger) -> None:
        assert not skipped(register, pulled(register).window.end)

    def test_the_checksum_of_postgresql_sees_one_letter(self, police: Police) -> None:
        """Computed there, without a row coming here."""
        feed = {"kind": "sql_snapshot", "fingerprint": "checksum"}
        manifest, secrets = manifest_of(feed), {VARIABLE: police.clerk}
        with psycopg.connect(police.clerk, autocommit=True) as clerk:
            clerk.execute('CREATE TABLE ryjbxx ("GMSFHM" text, "XM" text, "GXSJ" date)')
            clerk.execute("INSERT INTO ryjbxx VALUES ('1', '王伟', '2026-01-05')")
            first = pull(open_feed(manifest, secrets), COLUMNS)
            with closing(open_feed(manifest, secrets)) as feed_again:
                assert feed_again.plan(first.window.end) is None
            clerk.execute("""UPDATE ryjbxx SET "XM" = '王炜'""")

            assert (
                "王炜"
                == pull(open_feed(manifest, secrets), COLUMNS, first.window.end).rows[0]["XM"]
            )
