"""Tables read by a cursor column: look-back, clocks that are wrong, cursors that go back."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.feeds import Feed, PermanentFailure, open_feed
from connectors.feeds.sql_cursor import Mark, ahead, earlier
from tests.connectors.feeds.conftest import Police
from tests.connectors.feeds.pulling import Pulled, pull
from tests.connectors.feeds.tables import COLUMNS, VARIABLE, Ledger, ledger, manifest_of

NOON = datetime(2026, 1, 5, 12)
LOOK_BACK = timedelta(minutes=10)


@pytest.fixture
def register(tmp_path: Path) -> Ledger:
    return ledger(tmp_path / "register.db")


def opened(register: Ledger, look_back: str = "10m") -> Feed:
    return register.feed(kind="sql_cursor", cursor="GXSJ", look_back=look_back)


def pulled(register: Ledger, cursor: str | None = None) -> Pulled:
    return pull(opened(register), COLUMNS, cursor)


def numbers(found: Pulled) -> list[str]:
    return sorted(row["GMSFHM"] for row in found.rows)


def nothing_new(register: Ledger, cursor: str) -> bool:
    with closing(opened(register)) as feed:
        return feed.plan(cursor) is None


class TestPulling:
    def test_everything_first(self, register: Ledger) -> None:
        """A snapshot, whose end is the highest cursor and what the last rows look like."""
        register.write("1", "周秀英", "2026-01-05 09:00:00")
        register.write("2", "王伟", "2026-01-05 12:00:00")

        first = pulled(register)

        assert "snapshot" == first.window.mode
        assert "2026-01-05 12:00:00" == Mark.of(first.window.end).at
        assert ["1", "2"] == numbers(first)

    def test_then_what_changed_and_what_was_just_read(self, register: Ledger) -> None:
        """Rows within the look-back come again, each as a U with its number in the window."""
        register.write("1", "周秀英", "2026-01-05 09:00:00")
        register.write("2", "王伟", "2026-01-05 12:00:00")
        first = pulled(register)
        register.write("1", "周秀英", "2026-01-05 12:05:00")

        then = pulled(register, first.window.end)

        assert "changes" == then.window.mode
        assert ["1", "2"] == numbers(then)
        assert [("U", 1), ("U", 2)] == [(row["_op"], row["_seq"]) for row in then.rows]

    def test_nothing_new_is_no_window(self, register: Ledger) -> None:
        register.write("1", "周秀英", "2026-01-05 12:00:00")

        assert nothing_new(register, pulled(register).window.end)

    def test_an_empty_table(self, register: Ledger) -> None:
        """It is a snapshot of nothing, and no window again until there is something."""
        first = pulled_nothing(register)
        assert nothing_new(register, first)
        register.write("1", "周秀英", "2026-01-05 12:00:00")

        assert ["1"] == numbers(pulled(register, first))

    def test_rows_of_the_same_moment_are_not_lost(self, register: Ledger) -> None:
        """Even without any look-back."""
        register.write("1", "周秀英", "2026-01-05 12:00:00")
        with closing(opened(register, "0")) as feed:
            first = feed.plan(None)
        assert first is not None
        register.write("2", "王伟", "2026-01-05 12:00:00")

        assert ["1", "2"] == numbers(pull(opened(register, "0"), COLUMNS, first.end))


def pulled_nothing(register: Ledger) -> str:
    with closing(opened(register)) as feed:
        window = feed.plan(None)
        assert window is not None
        assert [] == list(feed.read(window))
        assert 0 == feed.totals(window).rows
    return window.end


class TestLateCommits:
    def test_a_row_behind_the_cursor_is_found(self, register: Ledger) -> None:
        """It was stamped at 11:55 and committed after 12:00 had been read."""
        register.write("1", "周秀英", "2026-01-05 12:00:00")
        first = pulled(register)
        register.write("2", "王伟", "2026-01-05 11:55:00")

        assert "2" in numbers(pulled(register, first.window.end))

    def test_two_transactions_of_a_real_server(self, police: Police) -> None:
        """The slow one draws its stamp first and commits last."""
        feed = {"kind": "sql_cursor", "cursor": "GXSJ", "table": "public.ryjbxx"}
        manifest, secrets = manifest_of(feed), {VARIABLE: police.clerk}
        insert = "INSERT INTO ryjbxx VALUES (%s, %s, clock_timestamp())"
        with psycopg.connect(police.clerk) as slow, psycopg.connect(police.clerk) as quick:
            quick.execute('CREATE TABLE ryjbxx ("GMSFHM" text, "XM" text, "GXSJ" timestamptz)')
            quick.commit()
            slow.execute(insert, ("slow", "王伟"))
            quick.execute(insert, ("quick", "周秀英"))
            quick.commit()
            first = pull(open_feed(manifest, secrets), COLUMNS)
            slow.commit()
            then = pull(open_feed(manifest, secrets), COLUMNS, first.window.end)

        assert ["quick"] == numbers(first)
        assert ["quick", "slow"] == numbers(then)

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3600),  # when a row is stamped
                st.integers(0, int(LOOK_BACK.total_seconds())),  # how long its commit takes
                st.sampled_from("ABC"),
            ),
            min_size=1,
            max_size=12,
        ),
        st.lists(st.integers(0, 4300), max_size=5),
    )
    def test_no_row_within_the_look_back_is_ever_lost(
        self, deeds: list[tuple[int, int, str]], polls: list[int]
    ) -> None:
        """Whatever the order of commits and pulls, the library ends as the table is."""
        commits = sorted((stamp + late, stamp, number) for stamp, late, number in deeds)
        with TemporaryDirectory() as folder:
            register = ledger(Path(folder) / "register.db")
            library: dict[str, tuple[str, str]] = {}
            table: dict[str, tuple[str, str]] = {}
            cursor = None
            for poll in [*sorted(polls), 9999]:
                while commits and commits[0][0] <= poll:
                    _, stamp, number = commits.pop(0)
                    at = (NOON + timedelta(seconds=stamp)).isoformat(sep=" ")
                    register.write(number, f"of {stamp}", at)
                    table[number] = (f"of {stamp}", at)
                cursor = collected(register, library, cursor)
            with closing(opened(register)) as feed:
                assert feed.plan(cursor) is None

        assert table == library


def collected(
    register: Ledger, library: dict[str, tuple[str, str]], cursor: str | None
) -> str | None:
    """What a pull brings into `library`; the cursor after it."""
    with closing(opened(register)) as feed:
        window = feed.plan(cursor)
        if window is None:
            return cursor
        for batch in feed.read(window):
            for row in batch.to_pylist():
                library[row["GMSFHM"]] = (row["XM"], row["GXSJ"])
    return window.end


class TestOddCursors:
    def test_a_cursor_in_the_future_does_not_carry_the_mark_away(self, register: Ledger) -> None:
        """The row is read and named; what is written after it is still found."""
        register.write("1", "周秀英", "2099-01-01 00:00:00")
        first = pulled(register)
        register.write("2", "王伟", datetime.now().isoformat(sep=" ", timespec="seconds"))
        then = pulled(register, first.window.end)

        assert 1 == first.notices["cursor_in_future"]
        assert Mark.of(first.window.end).at < "2099"  # type: ignore[operator]  # it is a time
        assert ["1", "2"] == numbers(then)

    def test_a_cursor_that_went_back_is_a_snapshot(self, register: Ledger) -> None:
        """A backup was restored: nothing of what was read last is there any more."""
        register.write("1", "周秀英", "2026-01-05 09:00:00")
        register.write("2", "王伟", "2026-01-05 12:00:00")
        first = pulled(register)
        register.run("DELETE FROM ryjbxx WHERE GMSFHM = '2'")

        then = pulled(register, first.window.end)

        assert "snapshot" == then.window.mode
        assert 1 == then.notices["cursor_went_back"]
        assert ["1"] == numbers(then)

    def test_rows_without_a_cursor_are_counted(self, register: Ledger) -> None:
        register.write("1", "周秀英", "2026-01-05 09:00:00")
        register.run("INSERT INTO ryjbxx VALUES ('2', '王伟', NULL)")

        assert {"rows_without_cursor": 1} == pulled(register).notices

    @pytest.mark.parametrize("text", ["yesterday", "05.01.2026"])
    def test_a_cursor_that_is_no_time(self, register: Ledger, text: str) -> None:
        register.write("1", "周秀英", text)

        with pytest.raises(PermanentFailure, match=r"GXSJ is no time.*永康市公安局"):
            pulled(register)

    def test_a_cursor_column_that_is_gone(self, register: Ledger) -> None:
        register.run("ALTER TABLE ryjbxx RENAME COLUMN GXSJ TO GXRQ")

        with pytest.raises(PermanentFailure, match="no column GXSJ"):
            pulled(register)


class TestLookBack:
    @pytest.mark.parametrize(
        ("at", "look_back", "begin"),
        [
            ("2026-01-05 12:00:00", "10m", "2026-01-05 11:50:00"),
            ("2026-01-05T12:00:00.5", "1s", "2026-01-05T11:59:59.5"),
            ("2026-01-05 12:00:00.123456+08:00", "1h", "2026-01-05 11:00:00.123456+08:00"),
            ("2026-01-05 12:00:00+08", "1h", "2026-01-05 11:00:00+08:00"),
            ("2026-01-05", "10m", "2026-01-04"),
            ("20260105120000", "1d", "20260104120000"),
            ("20260105", "1d", "20260104"),
            ("12345", "1000", "11345"),
            ("12345", "0", "12345"),
        ],
    )
    def test_as_the_cursor_is_written(self, at: str, look_back: str, begin: str) -> None:
        assert begin == earlier(at, look_back)

    def test_clocks_of_two_zones(self) -> None:
        """Noon in Yongkang is not ahead of a source whose clock says five in London."""
        assert ahead("2026-01-05 12:00:00+08:00", "2026-01-05 05:00:00+00:00") is None
        assert "2026-01-05 11:00:00+08:00" == ahead(
            "2026-01-05 12:00:00+08:00", "2026-01-05 03:00:00+00:00"
        )


@pytest.fixture
def counted(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "counted.db")
    made.run("CREATE TABLE ryjbxx (GMSFHM TEXT, XM TEXT, GXSJ INTEGER)")
    return made


class TestNumbers:
    def test_a_rising_number_looks_back_as_far_as_it_is_told(self, counted: Ledger) -> None:
        for number in (5, 900, 1000):
            counted.run("INSERT INTO ryjbxx VALUES (?, 'x', ?)", str(number), number)
        first = pull(opened(counted, "200"), COLUMNS)
        counted.run("INSERT INTO ryjbxx VALUES ('late', 'x', 950)")

        then = pull(opened(counted, "200"), COLUMNS, first.window.end)

        assert "1000" == Mark.of(first.window.end).at
        assert ["1000", "900", "late"] == numbers(then)
