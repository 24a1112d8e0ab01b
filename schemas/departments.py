"""Departments as a tree that changes: who was there on a day, under whom, and who came after.

Read from `departments/*.yaml` and the installation's own folder. A department is known by its
unified social credit code; a new name or a new parent is a new spell of the same code, a merger
ends the code and names who took over. Grants, seals and open applications follow `successor`.
Who may do what is no business of this module.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from pydantic import BaseModel, ConfigDict, Field

from schemas import installation
from schemas.errors import Invalid, NotFound
from schemas.identifiers import KINDS
from schemas.yaml_files import Place, read_yaml, yaml_files

FOLDER = files("schemas") / "departments"
ALWAYS, NEVER = date.min, date.max


class Level(StrEnum):
    """How high a department stands, the highest first."""

    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"
    TOWN = "town"
    VILLAGE = "village"


HEIGHT: Mapping[Level, int] = {level: height for height, level in enumerate(reversed(Level))}


@dataclass(frozen=True)
class Department:
    """A spell of a department: from the day `valid_from` until the day `valid_to`, unchanged.

    The first of `successors` is the one that its duties go to when nothing else is said.
    """

    code: str
    name_zh: str
    level: Level
    parent: str | None = None
    valid_from: date = ALWAYS
    valid_to: date = NEVER
    successors: tuple[str, ...] = ()

    def in_force(self, at: date) -> bool:
        """Say whether the department was there on that day."""
        return self.valid_from <= at < self.valid_to


@dataclass(frozen=True)
class Tree:
    """Every spell of every department, by code and in the order of time."""

    spells: Mapping[str, tuple[Department, ...]]

    def at(self, day: date) -> Mapping[str, Department]:
        """The departments that were there on that day, by code."""
        there = (spell for spells in self.spells.values() for spell in spells)
        return {spell.code: spell for spell in there if spell.in_force(day)}

    def get(self, code: str, day: date) -> Department:
        """The department as it was on that day. Raises `NotFound`."""
        for spell in self.spells.get(code, ()):
            if spell.in_force(day):
                return spell
        raise NotFound(f"there was no department {code} on {day}", zh=f"{day}没有部门{code}")

    def path(self, code: str, day: date) -> tuple[Department, ...]:
        """The department and those above it on that day, the highest first. Raises `NotFound`."""
        here = self.get(code, day)
        above = [here]
        while here.parent is not None:
            here = self.get(here.parent, day)
            above.append(here)
        return tuple(reversed(above))

    def children(self, code: str, day: date) -> tuple[Department, ...]:
        """Those directly under the department on that day, by code."""
        under = (each for each in self.at(day).values() if each.parent == code)
        return tuple(sorted(under, key=lambda each: each.code))

    def successor(self, code: str, day: date) -> Department:
        """Who acts for the department on that day: itself, or the first that took over.

        Raises `NotFound` for a code that nobody had, a day before it, and an end without heir.
        """
        here = self._last_before(code, day)
        while not here.in_force(day):
            if not here.successors:
                raise NotFound(f"{code} ended on {here.valid_to} and nobody took over")
            here = self._last_before(here.successors[0], day)
        return here

    def successors(self, code: str, day: date) -> tuple[Department, ...]:
        """Everybody who took over from the department, as of that day, the first heir first."""
        here = self._last_before(code, day)
        if here.in_force(day):
            return (here,)
        heirs = (heir for each in here.successors for heir in self.successors(each, day))
        return tuple(dict.fromkeys(heirs))

    def _last_before(self, code: str, day: date) -> Department:
        began = [spell for spell in self.spells.get(code, ()) if spell.valid_from <= day]
        if not began:
            raise NotFound(f"there was no department {code} by {day}", zh=f"没有部门{code}")
        return began[-1]


def tree() -> Tree:
    """The packaged departments and the installation's own. Raises `Invalid`."""
    return _tree(installation.stamp("departments"))


@lru_cache(maxsize=2)
def _tree(own: installation.Stamp) -> Tree:
    """Read once for each state of the installation's own files."""
    return read(FOLDER, own.folder)


def read(*folders: Traversable) -> Tree:
    """Read every file of the folders as one tree. Raises `Invalid` naming file and department."""
    places: dict[Department, Place] = {}
    for folder in folders:
        for file in yaml_files(folder):
            for department, place in _departments(file):
                place.need(department not in places, "it is there twice")
                places[department] = place
    return grown(places)


class _Entry(BaseModel):
    """A spell as the YAML spells it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    code: str
    name: str = Field(min_length=1)
    level: str
    parent: str | None = None
    since: date = Field(ALWAYS, alias="from")
    until: date = Field(NEVER, alias="to")
    successors: list[str] = []


class _File(BaseModel):
    """A file of departments as the YAML spells it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    note: str = ""
    departments: list[_Entry]


def _departments(file: Traversable) -> Iterator[tuple[Department, Place]]:
    whole = Place(str(file))
    for entry in whole.shaped(_File, read_yaml(file)).departments:
        place = whole.inside(f"department {entry.code}")
        place.need(entry.level in set(Level), f"its level is not one of {', '.join(Level)}")
        yield (
            Department(
                entry.code,
                entry.name,
                Level(entry.level),
                entry.parent,
                entry.since,
                entry.until,
                tuple(entry.successors),
            ),
            place,
        )


def grown(places: Mapping[Department, Place]) -> Tree:
    """The tree of these departments. Raises `Invalid` when they do not hang together."""
    by_code: dict[str, list[Department]] = defaultdict(list)
    for department in sorted(places, key=lambda each: (each.code, each.valid_from)):
        by_code[department.code].append(department)
    found = Tree({code: tuple(spells) for code, spells in by_code.items()})
    for spells in found.spells.values():
        _check_order(spells, places)
        for spell in spells:
            _check_number(spell, places[spell])
            _check_parent(spell, found, places[spell])
            _check_successors(spell, found, places[spell])
    _check_no_rounds(found, places)
    return found


def _check_number(spell: Department, place: Place) -> None:
    try:
        normalised = KINDS["uscc"](spell.code)
    except Invalid as err:
        raise place.wrong(err.message) from err
    place.need(normalised.value == spell.code, "its code is not in the standard's characters")


def _check_order(spells: Iterable[Department], places: Mapping[Department, Place]) -> None:
    ended = ALWAYS
    for spell in spells:
        place = places[spell]
        place.need(spell.valid_from < spell.valid_to, "it ends before it begins")
        place.need(ended <= spell.valid_from, "two of its spells overlap")
        ended = spell.valid_to


def _check_parent(spell: Department, found: Tree, place: Place) -> None:
    """A parent is there as long as its child, and does not stand lower."""
    if spell.parent is None:
        return
    day = spell.valid_from
    for above in found.spells.get(spell.parent, ()):
        if above.valid_from <= day < above.valid_to:
            place.need(HEIGHT[above.level] >= HEIGHT[spell.level], "its parent stands lower")
            day = min(above.valid_to, spell.valid_to)
            if day == spell.valid_to:
                return
    raise place.wrong(f"its parent {spell.parent} is not there on {day}")


def _check_successors(spell: Department, found: Tree, place: Place) -> None:
    """Who takes over is there when the department ends, so following successors ends."""
    for code in spell.successors:
        there = any(heir.in_force(spell.valid_to) for heir in found.spells.get(code, ()))
        place.need(there, f"its successor {code} is not there when it ends")


def _check_no_rounds(found: Tree, places: Mapping[Department, Place]) -> None:
    """Nobody stands above itself on any day; parents change only where a spell begins."""
    days = sorted({spell.valid_from for spells in found.spells.values() for spell in spells})
    for day in days:
        there = found.at(day)
        safe = set[str]()
        for spell in there.values():
            walked = set[str]()
            here: Department | None = spell
            while here is not None and here.code not in safe:
                places[here].need(here.code not in walked, "it stands above itself")
                walked.add(here.code)
                here = there[here.parent] if here.parent else None
            safe |= walked
