"""Names, their order, what is missing between them, and what a cursor remembers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.feeds.drops import (
    CHANGES,
    REMEMBERED,
    WHOLE,
    Cursor,
    Drop,
    Naming,
    after,
    chosen,
    named,
)

NUMBERED = (
    Naming("frk_{date}_full.csv", WHOLE),
    Naming("frk_{date}_{number}.csv", CHANGES),
)
DAILY = (Naming("人口-{date}.csv.gz", CHANGES),)
RUNNING = (Naming("t_{number}_all.txt", WHOLE), Naming("t_{number}.txt", CHANGES))
TIMED = (Naming("x_{date}_{time}.jsonl", CHANGES),)
HOURLY = [f"x_2026010{day}_{hour:02}00.jsonl" for day in range(1, 6) for hour in range(0, 24, 6)]


def drops(namings: tuple[Naming, ...], *names: str) -> list[Drop]:
    found = [next(filter(None, (naming.drop(name) for naming in namings))) for name in names]
    return [drop for drop in found if drop is not None]


def read_through(namings: tuple[Naming, ...], *batches: list[str]) -> list[str | None]:
    """The names in the order they are read, each batch lying there beside those before it."""
    cursor, lying, order = None, list[str](), list[str | None]()
    for names in batches:
        lying += names
        while True:
            found = chosen(drops(namings, *lying), cursor, namings)
            if found.drop is None:
                break
            if found.missing:
                order.append(f"without {found.missing}")
            order.append(found.drop.name)
            cursor = Cursor.of(str(after(cursor, found.drop, found.drop.name)), namings)
    return order


class TestNames:
    @pytest.mark.parametrize(
        ("namings", "name"),
        [
            (NUMBERED, "frk_20261345_001.csv"),
            (NUMBERED, "frk_20260105_001.csv.part"),
            (NUMBERED, "xfrk_20260105_001.csv"),
            (DAILY, "人口-2026-1-5.csv.gz"),
            (TIMED, "x_20260105_08.jsonl"),
        ],
    )
    def test_what_is_none(self, namings: tuple[Naming, ...], name: str) -> None:
        assert not any(naming.drop(name) for naming in namings)

    def test_a_day_with_dashes_is_the_same_day(self) -> None:
        one, two = drops(DAILY, "人口-20260105.csv.gz", "人口-2026-01-05.csv.gz")

        assert one.key == two.key

    def test_the_stem_leads_back(self) -> None:
        [drop] = drops(DAILY, "人口-20260105.csv.gz")

        assert "人口-20260105" == drop.stem
        assert drop == named(DAILY, drop.stem)


class TestOrder:
    def test_whole_then_increments_then_whole(self) -> None:
        assert [
            "frk_20260105_full.csv",
            "frk_20260105_001.csv",
            "frk_20260105_002.csv",
            "frk_20260106_001.csv",
            "frk_20260107_full.csv",
        ] == read_through(
            NUMBERED,
            ["frk_20260105_001.csv"],  # not before a whole file
            ["frk_20260105_full.csv", "frk_20260105_002.csv", "frk_20260106_001.csv"],
            ["frk_20260107_full.csv", "frk_20260106_002.csv"],  # overtaken
        )

    def test_numbers_that_run_on(self) -> None:
        """Ten comes after nine."""
        assert ["t_8_all.txt", "t_9.txt", "t_10.txt"] == read_through(
            RUNNING, ["t_10.txt", "t_9.txt", "t_8_all.txt", "t_7.txt"]
        )

    def test_increments_alone(self) -> None:
        assert ["x_20260105_0830.jsonl", "x_20260105_083001.jsonl"] == read_through(
            TIMED, ["x_20260105_083001.jsonl", "x_20260105_0830.jsonl"]
        )

    def test_a_late_whole_file_is_of_no_use(self) -> None:
        """An older state of the register never comes after a newer one."""
        assert ["frk_20260107_full.csv"] == read_through(
            NUMBERED, ["frk_20260107_full.csv"], ["frk_20260106_full.csv"]
        )

    @given(names=st.permutations(HOURLY), cuts=st.lists(st.integers(0, 20), max_size=4))
    def test_each_once_however_they_come(self, names: list[str], cuts: list[int]) -> None:
        """In whatever order and portions: every increment is read, and none twice."""
        edges = [0, *sorted(cuts), len(names)]
        portions = [names[a:b] for a, b in pairwise(edges)]

        assert sorted(names) == sorted(map(str, read_through(TIMED, *portions)))


class TestMissing:
    def test_a_number(self) -> None:
        assert [
            "frk_20260105_full.csv",
            "without frk_20260105_001.csv",
            "frk_20260105_002.csv",
            "frk_20260105_001.csv",
        ] == read_through(
            NUMBERED,
            ["frk_20260105_full.csv", "frk_20260105_002.csv"],
            ["frk_20260105_001.csv"],  # late, and taken up
        )

    def test_a_day(self) -> None:
        assert [
            "人口-2026-02-28.csv.gz",
            "without 人口-2026-03-01.csv.gz",
            "人口-2026-03-02.csv.gz",
            "人口-2026-03-01.csv.gz",
        ] == read_through(
            DAILY,
            ["人口-2026-02-28.csv.gz", "人口-2026-03-02.csv.gz"],
            ["人口-2026-03-01.csv.gz"],
        )

    def test_days_that_are_not_promised(self) -> None:
        assert ["d_20260105.csv", "d_20260109.csv"] == read_through(
            (Naming("d_{date}.csv", CHANGES, daily=False),), ["d_20260105.csv", "d_20260109.csv"]
        )

    def test_the_next_day_begins_anew(self) -> None:
        """A planted gap: number 2 of a new day misses number 1."""
        assert [
            "frk_20260105_full.csv",
            "without frk_20260106_001.csv",
            "frk_20260106_002.csv",
        ] == read_through(NUMBERED, ["frk_20260105_full.csv", "frk_20260106_002.csv"])


class TestCursor:
    def test_a_whole_file_is_its_stem(self) -> None:
        """As cursors were before increments were remembered, and are read still."""
        [drop] = drops(NUMBERED, "frk_20260105_full.csv")

        assert "frk_20260105_full" == str(after(None, drop, ""))
        assert Cursor.of("frk_20260105_001", NUMBERED).has_taken(drop)

    def test_it_says_what_was_taken(self) -> None:
        whole, one = drops(NUMBERED, "frk_20260105_full.csv", "frk_20260105_001.csv")
        cursor = after(after(None, whole, ""), one, "5f0c")

        assert "frk_20260105_001 > 20260105..0w 20260105..1=5f0c" == str(cursor)
        assert cursor == Cursor.of(str(cursor), NUMBERED)

    def test_it_does_not_grow_for_ever(self) -> None:
        """What it forgets, it takes for read."""
        names = [f"t_{number}.txt" for number in range(1, REMEMBERED + 51)]
        cursor = None
        for drop in drops(RUNNING, *names):
            cursor = after(cursor, drop, "5f0c5f0c5f0c")

        assert cursor is not None
        assert REMEMBERED == len(cursor.taken)
        assert len(str(cursor)) < 12_000
        assert all(cursor.has_taken(drop) for drop in drops(RUNNING, *names))

    @pytest.mark.parametrize("said", ["", "frk", "frk_20260105_001 > x", "frk_20260105_001 > -"])
    def test_nonsense(self, said: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            Cursor.of(said, NUMBERED)
