"""The names of delivered files, their order, and which one is next: decided without reading one.

A cursor is the stem of the file that was read last, then what later files need to know: the floor
(nothing at or before it is asked for again) and every increment taken since, with its digest:

    frk_20260107_001 > 20260105..w 20260106..1=5f0c… 20260107..1=a07b…

so that an increment that was missing is taken up when it comes, and one that comes twice is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

REMEMBERED = 400
"""Increments that a cursor names; what lies before them is taken for read."""

_PARTS = {
    "date": r"(?P<date>\d{8}|\d{4}-\d\d-\d\d)",
    "time": r"(?P<time>\d{4}(?:\d\d)?)",
    "number": r"(?P<number>\d{1,9})",
}
_KEY = re.compile(r"^(\d*)\.(\d*)\.(\d+)(w?)$")

Kind = Literal["0 whole", "1 changes"]
WHOLE: Kind = "0 whole"
CHANGES: Kind = "1 changes"


@dataclass(frozen=True, order=True)
class Key:
    """A file's place in the order: its day, its time, its number, and the whole before changes."""

    day: str
    time: str
    number: int
    kind: Kind = CHANGES

    def __str__(self) -> str:
        return f"{self.day}.{self.time}.{self.number}{'w' if self.kind == WHOLE else ''}"

    @classmethod
    def of(cls, said: str) -> Key:
        """What `str` wrote. Raises `ValueError`."""
        if not (found := _KEY.match(said)):
            raise ValueError("no place in the order")
        return cls(found[1], found[2], int(found[3]), WHOLE if found[4] else CHANGES)


@dataclass(frozen=True, order=True)
class Drop:
    """A delivered file: its place in the order, its name, and how many digits its number has."""

    key: Key
    name: str
    stem: str
    digits: int = 0

    @property
    def whole(self) -> bool:
        """Whether it is the whole register."""
        return self.key.kind == WHOLE


@dataclass(frozen=True)
class Naming:
    """How a department names one kind of file; `daily` says that a date alone means every day."""

    pattern: str
    kind: Kind
    daily: bool = True

    @property
    def ending(self) -> str:
        """What comes after a stem, such as `.csv.gz`."""
        tail = self.pattern.rpartition("}")[2]
        return tail[tail.index(".") :] if "." in tail else ""

    def drop(self, name: str) -> Drop | None:
        """What a name says; None when it is not one of these."""
        if not (found := self._expression().fullmatch(name)):
            return None
        parts = {"date": "", "time": "", "number": "0", **found.groupdict()}
        day = parts["date"].replace("-", "")
        if day and _day(day) is None:
            return None
        time = parts["time"] and parts["time"].ljust(6, "0")
        digits = len(found.groupdict().get("number") or "")
        key = Key(day, time, int(parts["number"]), self.kind)
        return Drop(key, name, name.removesuffix(self.ending), digits)

    def missing(self, after: Key, before: Drop) -> str | None:
        """The name of a file that must lie between two, where the names tell that there is one."""
        day, number = before.key.day, before.key.number
        if "{time}" in self.pattern:
            return None
        if "{number}" in self.pattern:
            due = after.number + 1 if after.day == day else 1
            return None if number <= due else self._name(before.name, day, due, before.digits)
        next_day = _day(after.day) if self.daily else None
        if next_day is None or day <= (due_day := f"{next_day + timedelta(days=1):%Y%m%d}"):
            return None
        return self._name(before.name, due_day, 0, 0)

    def _name(self, like: str, day: str, number: int, digits: int) -> str:
        dashed = re.search(r"\d{4}-\d\d-\d\d", like)
        written = f"{day[:4]}-{day[4:6]}-{day[6:]}" if dashed else day
        return self.pattern.replace("{date}", written).replace("{number}", f"{number:0{digits}d}")

    def _expression(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.pattern)
        return re.compile(
            "".join(_PARTS[part] if at % 2 else re.escape(part) for at, part in enumerate(parts))
        )


@dataclass(frozen=True)
class Cursor:
    """What was read: see the module. `last` is the furthest place that was reached."""

    stem: str
    last: Key
    floor: Key | None
    taken: Mapping[Key, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.taken:
            return self.stem
        taken = " ".join(f"{key}={digest}" for key, digest in sorted(self.taken.items()))
        return f"{self.stem} > {self.floor or '-'} {taken}"

    @classmethod
    def of(cls, said: str, namings: Sequence[Naming]) -> Cursor:
        """Read a cursor. Raises `ValueError` when it is not one of these names."""
        stem, _, rest = said.partition(" > ")
        drop = named(namings, stem)
        if drop is None:
            raise ValueError("no file of this folder")
        if not rest:
            return cls(stem, drop.key, drop.key)
        floor, *taken = rest.split(" ")
        pairs = (entry.partition("=") for entry in taken)
        known = {Key.of(key): digest for key, _, digest in pairs}
        return cls(stem, max(known), None if floor == "-" else Key.of(floor), known)

    def has_taken(self, drop: Drop) -> bool:
        """Whether a file was read, or was overtaken before it could be."""
        return drop.key in self.taken or (self.floor is not None and drop.key <= self.floor)


def named(namings: Iterable[Naming], stem: str) -> Drop | None:
    """The file of a stem."""
    found = (naming.drop(stem + naming.ending) for naming in namings)
    return next((drop for drop in found if drop), None)


def after(cursor: Cursor | None, drop: Drop, digest: str) -> Cursor:
    """The cursor once `drop` is read: a whole file overtakes, an increment is remembered."""
    if drop.whole:
        return Cursor(drop.stem, drop.key, drop.key)
    known = {**(cursor.taken if cursor else {}), drop.key: digest}
    floor = cursor.floor if cursor else None
    kept = sorted(known)[-REMEMBERED:]
    if len(kept) < len(known):
        floor = max(key for key in known if key < kept[0])
    return Cursor(drop.stem, kept[-1], floor, {key: known[key] for key in kept})


@dataclass(frozen=True)
class Next:
    """The file to read next; how many it overtakes; the first that is missing before it."""

    drop: Drop | None
    overtaken: int = 0
    missing: str | None = None
    late: bool = False


def chosen(drops: Iterable[Drop], cursor: Cursor | None, namings: Sequence[Naming]) -> Next:
    """The newest whole file if there is a new one, else the first increment not yet taken."""
    waiting = [
        drop
        for drop in sorted(drops)
        if cursor is None
        or (not cursor.has_taken(drop) and not (drop.whole and drop.key < cursor.last))
    ]
    if wholes := [drop for drop in waiting if drop.whole]:
        newest = wholes[-1]
        return Next(newest, waiting.index(newest), _missing(newest, cursor, namings))
    begins_whole = any(naming.kind == WHOLE for naming in namings)
    if not waiting or (cursor is None and begins_whole):
        return Next(None)
    drop = waiting[0]
    late = cursor is not None and drop.key < cursor.last
    return Next(drop, 0, _missing(drop, cursor, namings), late)


def _missing(drop: Drop, cursor: Cursor | None, namings: Sequence[Naming]) -> str | None:
    if cursor is None:
        return None
    known = [*cursor.taken, *([cursor.floor] if cursor.floor else [])]
    earlier = [key for key in known if key < drop.key]
    [naming] = [naming for naming in namings if naming.kind == drop.key.kind]
    return naming.missing(max(earlier), drop) if earlier else None


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        return None
