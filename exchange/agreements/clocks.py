"""Clocks: how far a limit of working days has run, and which warning that is. Pure.

Days are Asia/Shanghai's. The day on which a clock starts does not count, the last one counts to
its midnight; a deadline that was reckoned with a year nobody has announced is provisional.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from exchange.catalogue.lint import SHANGHAI
from schemas.working_days import Calendar

LEVELS = (50, 80, 100)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a clock stands: how much of it has run, until which day, and whether that may move."""

    percent: int
    deadline: date
    provisional: bool

    @property
    def overdue(self) -> bool:
        """The limit has run out."""
        return self.percent >= LEVELS[-1]

    @property
    def reached(self) -> tuple[int, ...]:
        """The warnings that are due by now."""
        return tuple(level for level in LEVELS if self.percent >= level)


def standing(calendar: Calendar, started_at: datetime, days: int, at: datetime) -> Standing:
    """How a clock of so many working days stands at a moment."""
    start = local(started_at)
    deadline = calendar.after(start, days)
    share = 1.0 if days == 0 else _run(calendar, start, at.astimezone(SHANGHAI)) / days
    return Standing(int(share * 100), deadline.day, deadline.provisional)


def local(at: datetime) -> date:
    """The day of a moment, where deadlines are reckoned."""
    return at.astimezone(SHANGHAI).date()


def _run(calendar: Calendar, start: date, at: datetime) -> float:
    """Working days that have passed after the day `start`, the current one in part."""
    today = at.date()
    if today <= start:
        return 0.0
    whole = calendar.between(start, today)
    if not calendar.works(today):
        return float(whole)
    midnight = datetime.combine(today, time(), SHANGHAI)
    return whole + (at - midnight) / DAY
