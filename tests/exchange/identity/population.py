"""A population with doubles that we planted ourselves, and persons who merely look alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

import pyarrow as pa

from connectors.testkit.city import numbers

SURNAMES = "王李张刘陈杨黄赵周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文辉力玲飞鹏宇浩凯婷雪慧"
DIVISIONS = ("330784", "330702", "330703", "110105")
CHANGED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Person:
    """What the register says of one number."""

    unique_id: str
    name: str
    birth_date: str
    address: str
    phone: str | None
    changed_at: datetime = CHANGED

    @property
    def row(self) -> dict[str, object]:
        """As the linkage lays it out."""
        tail = self.unique_id[:6] + self.unique_id[14:17]
        return {**vars(self), "tail": tail}


@dataclass
class Population:
    """Everybody, and which pairs of numbers are one person."""

    rng: Random
    persons: list[Person] = field(default_factory=list)
    doubles: set[frozenset[str]] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)

    @property
    def table(self) -> pa.Table:
        """The persons in order of their numbers."""
        everybody = sorted(self.persons, key=lambda person: person.unique_id)
        return pa.Table.from_pylist([person.row for person in everybody])

    def number(self, division: str, born: str) -> str:
        """A number that nobody has."""
        while True:
            made = numbers.resident(division, born, self.rng.randrange(1, 1000))
            if made not in self.taken:
                self.taken.add(made)
                return made

    def person(self, address: str, phone: str | None, surname: str | None = None) -> Person:
        """Somebody new."""
        rng = self.rng
        born = f"{date(1935, 1, 1) + timedelta(days=rng.randrange(32_000)):%Y%m%d}"
        name = (surname or rng.choice(SURNAMES)) + "".join(rng.sample(GIVEN, rng.choice((1, 2, 2))))
        number = self.number(rng.choice(DIVISIONS), born)
        made = Person(number, name, born, address, phone)
        self.persons.append(made)
        return made

    def again(self, first: Person, number: str, **other: str | None) -> Person:
        """The same person under another number, changed later."""
        said = {**vars(first), "unique_id": number, "changed_at": CHANGED + timedelta(days=1)}
        second = Person(**{**said, **other})
        self.persons.append(second)
        self.taken.add(number)
        self.doubles.add(frozenset({first.unique_id, number}))
        return second


def grown(seed: int, families: int, doubles: int, *, alike: int = 20) -> Population:
    """Families who share address and often phone; `doubles` second numbers; `alike` twins."""
    made = Population(Random(seed))
    for index in range(families):
        _family(made, index)
    everybody = list(made.persons)
    for index, person in enumerate(made.rng.sample(everybody, doubles)):
        _double(made, person, index % 5)
    for person in made.rng.sample(everybody, alike):
        _twin(made, person)
    return made


def _family(made: Population, index: int) -> None:
    address = f"永康市{made.rng.choice('东西南北')}城街道{index // 7}号{index % 7 + 1}室"
    shared = _phone(made.rng) if made.rng.random() < 0.3 else None
    surname = made.rng.choice(SURNAMES)
    for _ in range(made.rng.choice((1, 2, 3, 4))):
        phone = shared or (_phone(made.rng) if made.rng.random() < 0.8 else None)
        made.person(address, phone, surname if made.rng.random() < 0.7 else None)


def _double(made: Population, first: Person, way: int) -> None:
    """Each way is a mistake of a kind that registers are known for."""
    rng, born = made.rng, first.birth_date
    if way == 0:  # registered a second time elsewhere
        made.again(first, made.number(rng.choice(DIVISIONS), born))
    elif way == 1:  # two digits of the number swapped, its check character worked out anew
        swapped = _swapped(rng, first.unique_id)
        made.again(first, swapped, birth_date=swapped[6:14])
    elif way == 2:  # one character of the name is another
        name = first.name[:-1] + rng.choice([c for c in GIVEN if c not in first.name])
        made.again(first, made.number(first.unique_id[:6], born), name=name)
    elif way == 3:  # moved, and kept the phone
        made.again(first, made.number(first.unique_id[:6], born), address="永康市江南街道新居1号")
        if first.phone is None:
            first.phone = made.persons[-1].phone = _phone(rng)
    else:  # another phone
        made.again(first, made.number(first.unique_id[:6], born), phone=_phone(rng))


def _twin(made: Population, first: Person) -> None:
    """Born on one day in one house, another given name, another phone: not a double."""
    name = first.name[0] + "".join(made.rng.sample(GIVEN, 2))
    number = made.number(first.unique_id[:6], first.birth_date)
    made.persons.append(Person(number, name, first.birth_date, first.address, _phone(made.rng)))


def _swapped(rng: Random, number: str) -> str:
    """Two neighbouring digits of the day and sequence swapped, where that gives a real day."""
    for at in rng.sample(range(12, 16), 4):
        body = number[:at] + number[at + 1] + number[at] + number[at + 2 : 17]
        if body != number[:17] and 1 <= int(body[12:14]) <= 28:
            return body + numbers.resident_check(body)
    body = number[:14] + f"{(int(number[14:17]) + 10) % 1000:03d}"
    return body + numbers.resident_check(body)


def _phone(rng: Random) -> str:
    return f"13{rng.randrange(10**9):09d}"
