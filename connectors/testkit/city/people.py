"""The residents of the city as its police keep them, with the defects of such registers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.lots import Lots, Row
from connectors.testkit.city.truth import (
    CONFLICT,
    FIFTEEN,
    FULL_WIDTH,
    IDENTIFIER,
    LOWER_CASE,
    UNKNOWN_CODE,
    Expected,
    Person,
)

OWNER, BUYER, CANARY, REFUSED_CANARY = range(4)
_CAST = ("方启明", "骆知秋", "钱丝雀𠮷", "孙丝雀𠮷")

_FIRST = date(1934, 1, 1)
_DAYS = [_FIRST + timedelta(days=day) for day in range((date(2025, 9, 1) - _FIRST).days)]
_BORN = [f"{day:%Y%m%d}" for day in _DAYS]
_ADULT_BEFORE = "20060101"


@dataclass(frozen=True)
class Population:
    """What the police send, and whom others may refer to.

    `living` are adults whose row is loaded, `dead` the deceased whose row is loaded; both without
    the cast. A number there is the true one, whatever the row says.
    """

    rows: list[Row]
    expected: Expected
    cast: list[Person]
    living: list[Person]
    dead: list[Person]


def populate(rng: Random, count: int) -> Population:
    """Make `count` residents, plant the defects, and keep the truth of it."""
    people, rows = _residents(rng, count)
    expected = Expected()
    lots = Lots(rng, range(len(_CAST), count), size=count)
    refused = _refuse(rows, lots, expected)
    doubled = _double(rows, lots, expected)
    _disguise(rows, people, lots, expected)
    dead = _bury(rng, rows, lots, expected)
    expected.count(len(rows))
    lost = {*refused, *doubled, *dead, *range(len(_CAST))}
    return Population(
        rows=rows,
        expected=expected,
        cast=people[: len(_CAST)],
        living=[p for i, p in enumerate(people) if i not in lost and _born(p) < _ADULT_BEFORE],
        dead=[people[i] for i in dead if _born(people[i]) < _ADULT_BEFORE],
    )


def _born(person: Person) -> str:
    return person.resident_id[6:14]


def _residents(rng: Random, count: int) -> tuple[list[Person], list[Row]]:
    people, rows, used = list[Person](), list[Row](), dict[str, int]()
    for index in range(count):
        day = rng.randrange(len(_DAYS)) if index >= len(_CAST) else 17_000 + 500 * index
        native = rng.random() < 0.85 or index < len(_CAST)
        division = _division_of_birth(_BORN[day]) if native else rng.choice(words.AROUND)
        male = rng.random() < 0.51
        place = division + _BORN[day]
        sequence = 2 * used.setdefault(place, 0) + (1 if male else 2)
        used[place] += 1
        name, ethnicity = _name(rng, index)
        phone = f"1{rng.choice('3578')}{rng.randrange(10**9):09d}"
        person = Person(numbers.resident(division, _BORN[day], sequence), name, phone)
        people.append(person)
        rows.append(_row(rng, person, day, male, ethnicity))
    return people, rows


def _division_of_birth(born: str) -> str:
    """The county became a city on a day; numbers given before it keep the county's code."""
    return words.NOW if born >= words.CHANGED else words.BEFORE


def _name(rng: Random, index: int) -> tuple[str, str]:
    if index < len(_CAST):
        return _CAST[index], "01"
    chance = rng.random()
    if chance < 0.003 or index == 5:
        return rng.choice(words.MINORITY), "05"
    surname = rng.choice(words.COMPOUND) if chance > 0.99 else rng.choice(words.SURNAMES)
    given = rng.choice(words.GIVEN) + (rng.choice(words.GIVEN) if rng.random() < 0.7 else "")
    if chance > 0.998 or index == 6:
        given = given[:1] + words.RARE
    return surname + given, rng.choice(words.ETHNICITIES)


def _row(rng: Random, person: Person, day: int, male: bool, ethnicity: str) -> Row:
    here = rng.random() < 0.9
    division = words.NOW if here else rng.choice(words.AROUND)
    street, house = rng.choice(words.STREETS), rng.randrange(1, 400)
    return {
        "GMSFHM": person.resident_id,
        "XM": person.name,
        "XBDM": "男" if male else "女",
        "MZDM": ethnicity,
        "CSRQ": _DAYS[day].isoformat(),
        "HJXZQH": division,
        "HJDZ": f"{rng.choice(words.TOWNS)}街道{street}路{house}号",
        "JZDZ": f"{street}路{house + 2}号{rng.randrange(1, 7)}幢{rng.randrange(1, 30)}室",
        "LXDH": person.phone,
        "SWBS": "0",
        "SWRQ": None,
        "GXSJ": f"20{rng.randrange(15, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
        f"T{rng.randrange(8, 18):02d}:{rng.randrange(60):02d}:00+08:00",
    }


def _refuse(rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    """Numbers that fail their check, codes that nobody knows."""
    failed = [REFUSED_CANARY, *lots.draw(0.002)]
    for index in failed:
        rows[index]["GMSFHM"] = numbers.spoiled(str(rows[index]["GMSFHM"]))
    unknown = lots.draw(0.002)
    for index in unknown:
        column, code = ("XBDM", "其他") if index % 2 else ("HJXZQH", words.UNKNOWN_DIVISION)
        rows[index][column] = code
    expected.quarantined[IDENTIFIER] += len(failed)
    expected.quarantined[UNKNOWN_CODE] += len(unknown)
    return failed + unknown


def _double(rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    """The same row twice; the same number with two stories. Returns the rows lost to it."""
    same = lots.draw(0.003)
    rows += [dict(rows[index]) for index in same]
    expected.duplicates += len(same)
    torn = lots.draw(0.001)
    rows += [{**rows[index], "HJDZ": "地址待核实", "LXDH": None} for index in torn]
    expected.quarantined[CONFLICT] += 2 * len(torn)
    return torn


def _disguise(rows: list[Row], people: list[Person], lots: Lots, expected: Expected) -> None:
    """Numbers that are right and written another way."""
    old = lots.draw(0.005, lambda index: people[index].resident_id[6:8] == "19")
    lower = lots.draw(0.005, lambda index: people[index].resident_id.endswith("X"))
    wide = lots.draw(0.003)
    for index in old:
        rows[index]["GMSFHM"] = numbers.short_resident(people[index].resident_id)
    for index in lower:
        rows[index]["GMSFHM"] = people[index].resident_id.lower()
    for index in wide:
        rows[index]["GMSFHM"] = numbers.full_width(people[index].resident_id)
    expected.normalised.update({FIFTEEN: len(old), LOWER_CASE: len(lower), FULL_WIDTH: len(wide)})
    expected.aliases[FIFTEEN] += len(old)


def _bury(rng: Random, rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    """Those who died stay in the register."""
    dead = lots.draw(0.015, lambda index: str(rows[index]["CSRQ"]) < "1990")
    for index in dead:
        day = f"20{rng.randrange(15, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
        rows[index].update(SWBS="1", SWRQ=day, GXSJ=f"{day}T16:30:00+08:00")
    expected.planted["deceased"] += len(dead)
    return dead
