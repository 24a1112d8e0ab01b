"""Working days and limits: the announced days, the nearer jurisdiction, the year nobody knows."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits, working_days
from schemas.errors import Invalid, NotFound
from schemas.jurisdictions import chain
from schemas.limits import Step, limit
from schemas.working_days import calendar

CHINA = calendar("cn")
days = st.dates(date(2024, 1, 2), date(2026, 10, 1))


class TestCalendar:
    @pytest.mark.parametrize(
        ("start", "count", "last"),
        [
            (date(2026, 9, 24), 1, date(2026, 9, 28)),  # over Mid-Autumn and a weekend
            (date(2026, 9, 18), 1, date(2026, 9, 20)),  # a Sunday that is worked
            (date(2026, 9, 18), 10, date(2026, 10, 9)),  # over two holidays
            (date(2025, 1, 27), 1, date(2025, 2, 5)),  # over the Spring Festival
            (date(2026, 5, 4), 0, date(2026, 5, 4)),  # no days are none
        ],
    )
    def test_a_limit_ends_where_the_announced_days_say(
        self, start: date, count: int, last: date
    ) -> None:
        """The day it begins does not count."""
        assert working_days.Day(last, False) == CHINA.after(start, count)

    @pytest.mark.parametrize(("year", "working"), [(2024, 251), (2025, 248), (2026, 248)])
    def test_a_year_has_as_many_as_the_announcement_leaves(self, year: int, working: int) -> None:
        """Weekends and holidays off, worked weekends on."""
        first = date(year, 1, 1)
        length = (date(year + 1, 1, 1) - first).days

        assert working == sum(CHINA.works(first + timedelta(n)) for n in range(length))

    def test_a_year_that_nobody_announced_is_provisional(self) -> None:
        """It counts Monday to Friday, and says so."""
        found = calendar("330784").after(date(2030, 12, 30), 3)

        assert working_days.Day(date(2031, 1, 2), True) == found

    @given(days, st.integers(1, 30))
    def test_after_and_between_agree(self, start: date, count: int) -> None:
        """The last day is a working day, with one less before it."""
        last = CHINA.after(start, count).day

        assert CHINA.works(last)
        assert count - 1 == CHINA.between(start, last)

    def test_a_region_has_days_of_its_own(self, tmp_path: Path) -> None:
        """Guangxi rests on its own festival; everybody else works."""
        (tmp_path / "gx.yaml").write_text(
            "jurisdiction: '45'\nyears:\n  2026:\n    by: 桂政办发〔2025〕1号\n"
            "    holidays: [2026-04-20/2026-04-21]\n"
        )
        known = working_days.read(working_days.FOLDER, tmp_path)

        guangxi = working_days.composed("450100", known)

        assert not guangxi.works(date(2026, 4, 20))
        assert not guangxi.works(date(2026, 5, 1))
        assert CHINA.works(date(2026, 4, 20))

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("{by: x, holidays: [2026-10-07/2026-10-01]}", "ends before it begins"),
            ("{by: x, holidays: [soon]}", "a day is written"),
            ("{by: x, holidays: [2026-10-01], workdays: [2026-10-01]}", "both off and worked"),
            ("{by: x, holidays: [2020-10-01]}", "another year"),
            ("{holidays: []}", "by: Field required"),
        ],
    )
    def test_a_wrong_file_is_refused_by_its_place(
        self, tmp_path: Path, text: str, wrong: str
    ) -> None:
        """With what is wrong."""
        (tmp_path / "x.yaml").write_text(f"jurisdiction: cn\nyears:\n  2026: {text}\n")

        with pytest.raises(Invalid, match=wrong):
            working_days.read(tmp_path)


class TestLimit:
    def test_unconditional_is_answered_in_a_day(self) -> None:
        """And the law stands beside the number."""
        found = limit("330784", Step.ANSWER, "unconditional", date(2026, 11, 22))

        assert (1, "cn") == (found.working_days, found.jurisdiction)
        assert "条例" in found.law

    def test_a_limit_is_of_its_time(self) -> None:
        """Before the Regulations it was ten."""
        assert 10 == limit("cn", Step.ANSWER, "unconditional", date(2025, 7, 31)).working_days

    def test_the_nearest_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A county's own limit stands before the country's, from its day on."""
        (tmp_path / "gaoping.yaml").write_text(
            "jurisdiction: '140581'\nlimits:\n  - {step: answer, share_class: conditional,"
            " working_days: 5, law: 高平市政务数据共享办法, from: 2024-03-06}\n"
        )
        monkeypatch.setenv("YIZHAN_CLOCKS", str(tmp_path))

        assert 5 == limit("140581", Step.ANSWER, "conditional", date(2026, 1, 5)).working_days
        assert 10 == limit("140500", Step.ANSWER, "conditional", date(2026, 1, 5)).working_days

    def test_where_nobody_set_one(self) -> None:
        """It is not made up."""
        with pytest.raises(NotFound, match="nobody set a limit"):
            limit("cn", Step.CORRECT, "withheld", date(2026, 1, 5))

    def test_two_for_one_day_are_refused(self, tmp_path: Path) -> None:
        """Which of them would hold?"""
        line = "  - {step: answer, share_class: conditional, working_days: 5, law: x}\n"
        (tmp_path / "x.yaml").write_text(f"jurisdiction: cn\nlimits:\n{line}{line}")

        with pytest.raises(Invalid, match="two limits hold"):
            limits.read(tmp_path)


class TestJurisdiction:
    def test_the_nearest_comes_first(self) -> None:
        """County, city, province, country."""
        assert ("330784", "3307", "33", "cn") == chain("330784")

    @pytest.mark.parametrize("code", ["", "3", "浙江", "330784001", "CN"])
    def test_what_is_none_is_refused(self, code: str) -> None:
        """A name is no code."""
        with pytest.raises(Invalid, match="a jurisdiction is"):
            chain(code)
