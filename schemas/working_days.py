"""Working days: which days count for a time limit, as dated data of each jurisdiction.

Read from `calendars/*.yaml` and the installation's own folder. Days off and worked weekends are
announced year by year: a year that nobody has listed counts Monday to Friday, and every day that
was reckoned with it says that it is provisional. What the limits are is `schemas/limits.py`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import BaseModel, ConfigDict, Field

from schemas import installation
from schemas.jurisdictions import COUNTRY, chain, nearest_first
from schemas.yaml_files import Place, read_yaml, yaml_files

FOLDER = files("schemas") / "calendars"
ONE = timedelta(days=1)
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Day:
    """A day that was reckoned; `provisional` while a year on the way is not announced."""

    day: date
    provisional: bool


@dataclass(frozen=True)
class Calendar:
    """The working days of one jurisdiction."""

    jurisdiction: str
    off: frozenset[date]
    worked: frozenset[date]
    years: frozenset[int]

    def works(self, day: date) -> bool:
        """Say whether offices work on that day."""
        if day in self.worked:
            return True
        return day not in self.off and day.weekday() < SATURDAY

    def after(self, start: date, working_days: int) -> Day:
        """The last day of a limit of so many working days that began on `start`.

        The day on which it begins does not count (《民法典》第二百零一条).
        """
        day, left = start, working_days
        while left > 0:
            day += ONE
            left -= self.works(day)
        return Day(day, not set(range(start.year, day.year + 1)) <= self.years)

    def between(self, start: date, end: date) -> int:
        """How many working days lie after `start` and before `end`."""
        days = ((end - start).days - 1) if end > start else 0
        return sum(self.works(start + ONE * (step + 1)) for step in range(days))


@dataclass(frozen=True)
class _Year:
    off: frozenset[date]
    worked: frozenset[date]


Years = Mapping[int, _Year]


def calendar(jurisdiction: str) -> Calendar:
    """The calendar of a jurisdiction: its own days and those of everybody above it.

    Raises `Invalid`.
    """
    chain(jurisdiction)
    return _calendar(jurisdiction, installation.stamp("calendars"))


@lru_cache(maxsize=64)
def _calendar(jurisdiction: str, own: installation.Stamp) -> Calendar:
    return composed(jurisdiction, read(FOLDER, own.folder))


def composed(jurisdiction: str, known: Mapping[str, Years]) -> Calendar:
    """The days of the chain as one; where two disagree the nearer one is right."""
    off, worked = set[date](), set[date]()
    for code in reversed(nearest_first(jurisdiction, known)):
        for year in known[code].values():
            off = (off | year.off) - year.worked
            worked = (worked | year.worked) - year.off
    years = frozenset(known.get(COUNTRY, {}))
    return Calendar(jurisdiction, frozenset(off), frozenset(worked), years)


class _YearIn(BaseModel):
    """A year as the YAML spells it: days, or spans from/to."""

    model_config = ConfigDict(extra="forbid")
    by: str = Field(min_length=1)
    holidays: list[date | str]
    workdays: list[date | str] = []


class _File(BaseModel):
    """A calendar as the YAML spells it."""

    model_config = ConfigDict(extra="forbid")
    jurisdiction: str
    note: str = ""
    years: dict[int, _YearIn]


def read(*folders: Traversable) -> Mapping[str, Years]:
    """Every calendar of the folders. Raises `Invalid` naming file and year."""
    known: dict[str, dict[int, _Year]] = defaultdict(dict)
    for folder in folders:
        for file in yaml_files(folder):
            whole = Place(str(file))
            said = whole.shaped(_File, read_yaml(file))
            chain(said.jurisdiction)
            for number, year in said.years.items():
                place = whole.inside(f"{said.jurisdiction} {number}")
                place.need(number not in known[said.jurisdiction], "the year is there twice")
                known[said.jurisdiction][number] = _year(number, year, place)
    return known


def _year(number: int, said: _YearIn, place: Place) -> _Year:
    made = _Year(frozenset(_days(said.holidays, place)), frozenset(_days(said.workdays, place)))
    place.need(not made.off & made.worked, "a day is both off and worked")
    # A holiday may begin in December of the year before: one day over is not a slip.
    near = {number - 1, number, number + 1}
    place.need({day.year for day in made.off | made.worked} <= near, "a day is of another year")
    return made


def _days(said: list[date | str], place: Place) -> Iterator[date]:
    for each in said:
        if isinstance(each, date):
            yield each
            continue
        first, _, last = each.partition("/")
        try:
            start, end = date.fromisoformat(first), date.fromisoformat(last)
        except ValueError as err:
            raise place.wrong("a day is written 2026-10-01, a span 2026-10-01/2026-10-07") from err
        place.need(start <= end, "a span ends before it begins")
        yield from (start + ONE * step for step in range((end - start).days + 1))
