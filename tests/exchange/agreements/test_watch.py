"""Clocks: warnings at 50, 80 and 100 %, once each; silence goes upward."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.agreements import applications, clocks, evidence, stored, watch
from exchange.agreements.answerable import NotYours, acting, superior
from exchange.agreements.clocks import Standing
from schemas.application import State
from schemas.working_days import calendar
from tests.exchange.agreements.agreeing import (
    AT,
    CHIEF,
    FILE,
    GOVERNMENT,
    POLICE,
    STRANGER,
    SUPERIOR,
    submitted,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = calendar("cn")
MONDAY = datetime(2026, 11, 16, 10, tzinfo=SHANGHAI)


def on(month: int, day: int, hour: int = 0) -> datetime:
    """A moment of 2026, in Shanghai."""
    return datetime(2026, month, day, hour, tzinfo=SHANGHAI)


class TestStanding:
    @pytest.mark.parametrize(
        ("at", "percent"),
        [
            (on(11, 16, 23), 0),  # the day on which it starts does not count
            (on(11, 17, 12), 5),
            (on(11, 18), 10),
            (on(11, 21, 12), 40),  # a weekend stands still
            (on(11, 22, 23), 40),
            (on(11, 24), 50),
            (on(11, 27), 80),
            (on(11, 30, 23), 99),  # the last day counts to its midnight
            (on(12, 1), 100),
        ],
    )
    def test_ten_working_days_from_a_monday(self, at: datetime, percent: int) -> None:
        """16 November to 30 November 2026."""
        assert Standing(percent, date(2026, 11, 30), False) == clocks.standing(
            CHINA, MONDAY, 10, at
        )

    def test_a_holiday_stands_still(self) -> None:
        """Nothing runs from 1 to 7 October."""
        before = clocks.standing(CHINA, on(9, 28), 10, on(10, 1))
        after = clocks.standing(CHINA, on(9, 28), 10, on(10, 8))

        assert (20, 20) == (before.percent, after.percent)

    def test_what_nobody_announced_is_provisional(self) -> None:
        """A deadline in 2027 may still move."""
        assert clocks.standing(CHINA, on(12, 28), 10, on(12, 29)).provisional

    @given(st.integers(1, 30), st.integers(0, 60 * 24), st.integers(0, 60 * 24))
    def test_a_clock_never_runs_back(self, days: int, one: int, other: int) -> None:
        """And is overdue exactly when its last day is over."""
        early, late = sorted(MONDAY + timedelta(hours=each) for each in (one, other))
        first = clocks.standing(CHINA, MONDAY, days, early)
        second = clocks.standing(CHINA, MONDAY, days, late)

        assert first.percent <= second.percent
        assert second.overdue is (clocks.local(late) > second.deadline)


class TestWatch:
    def test_each_warning_is_given_once(self, clerk: psycopg.Connection) -> None:
        """However often it is looked at."""
        submitted(clerk)

        given_at = {
            moment: [each.percent for each in watch.watch(clerk, moment)]
            for moment in (on(11, 20), on(11, 24), on(11, 24, 1), on(11, 27), on(12, 1), on(12, 2))
        }

        assert [[], [50], [], [80], [100], []] == list(given_at.values())

    def test_what_was_slept_through_is_given_at_once(self, clerk: psycopg.Connection) -> None:
        """A watch that did not run gives all that is due."""
        submitted(clerk)

        assert [50, 80, 100] == [each.percent for each in watch.watch(clerk, on(12, 7))]

    def test_silence_goes_upward(self, clerk: psycopg.Connection) -> None:
        """The government above is told and may answer; strangers still may not."""
        made = submitted(clerk)

        warned = watch.watch(clerk, on(12, 1))

        assert [POLICE, POLICE, GOVERNMENT] == [each.told for each in warned]
        held = stored.find(clerk, made.id)
        assert (State.ESCALATED, GOVERNMENT) == (held.state, held.escalated_to)
        assert "escalate" == evidence.events(clerk, "application", made.id)[-1].deed
        with pytest.raises(NotYours):
            applications.approve(clerk, made.id, on(12, 2), by=STRANGER, file_number=FILE)
        grant = applications.approve(clerk, made.id, on(12, 2), by=SUPERIOR, file_number=FILE)
        assert "housing" == grant.client

    def test_an_answer_stops_the_clock(self, clerk: psycopg.Connection) -> None:
        """Nobody is warned of what was answered or returned."""
        answered, returned = submitted(clerk), submitted(clerk, file_number="建〔2026〕4号")
        applications.approve(clerk, answered.id, AT, by=CHIEF, file_number=FILE)
        applications.give_back(clerk, returned.id, AT, by=CHIEF, reason="缺少使用范围")

        assert [] == watch.watch(clerk, on(12, 31))
        assert watch.standing(stored.find(clerk, answered.id), AT) is None

    def test_warnings_are_kept(self, clerk: psycopg.Connection) -> None:
        """With the deadline as it was reckoned."""
        submitted(clerk)
        watch.watch(clerk, on(11, 24))

        row = clerk.execute("SELECT percent, deadline, told FROM hub.clock_warning").fetchone()
        assert (50, date(2026, 11, 30), POLICE) == row


class TestAnswerable:
    def test_who_took_over_acts(self) -> None:
        """Health, twice merged, is the health commission's; above it stands the city."""
        day = date(2026, 11, 22)

        assert "永康市卫生健康局" == acting("11330784MB9000365R", day).name_zh
        assert GOVERNMENT == superior("11330784MB9000365R", day).code

    def test_the_highest_stands_above_itself(self) -> None:
        """There is nobody to pass it on to."""
        province = "11330000MB8000013D"

        assert province == superior(province, date(2026, 11, 22)).code
