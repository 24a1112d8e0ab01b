"""Rights in real estate as the city's land registry keeps them, with their defects.

A unit whose own row is refused has no rights, so what becomes of its owners is never in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.lots import Lots, Row
from connectors.testkit.city.people import CANARY, OWNER, Population
from connectors.testkit.city.truth import (
    CONFLICT,
    FIFTEEN,
    FULL_WIDTH,
    IDENTIFIER,
    LOWER_CASE,
    UNKNOWN_CODE,
    UNKNOWN_UNIT,
    Expected,
    Person,
)
from connectors.testkit.city.units import Units

_CAST = (OWNER, CANARY)
"""Whom the first two units belong to."""

_COURT = (words.COURT[0], numbers.credit_code("11", words.NOW, words.COURT[1]))
_BANKS = [(name, numbers.credit_code("91", words.NOW, serial)) for name, serial in words.BANKS]

Drawn = Callable[[float], list[str]]
"""Draws that share of the units with a sole owner."""


@dataclass
class Rights:
    """What the registry sends of rights, and what follows from it.

    `owners` says who owns a unit now as far as it is loaded, true numbers; `sole` is the row of a
    unit that one living person owns; `unclear` are units with a mortgage of unknown size.
    """

    rows: list[Row] = field(default_factory=list)
    expected: Expected = field(default_factory=Expected)
    owners: dict[str, list[str]] = field(default_factory=dict)
    sole: dict[str, int] = field(default_factory=dict)
    mortgaged: set[str] = field(default_factory=set)
    seized: set[str] = field(default_factory=set)
    left_by_dead: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    serials: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def ownership(self) -> dict[str, int]:
        """What the thematic library must hold."""
        return {
            "rows": sum(len(holders) for holders in self.owners.values()),
            "mortgaged": self._holders(self.mortgaged),
            "seized": self._holders(self.seized),
        }

    @property
    def licensable(self) -> list[str]:
        """Units that may have a certificate, in key order."""
        return sorted(self.owners.keys() - self.seized - self.left_by_dead)

    def _holders(self, units: set[str]) -> int:
        return sum(len(self.owners[unit]) for unit in units & self.owners.keys())


def enter(rng: Random, units: Units, people: Population, entities: Registrations) -> Rights:
    """Give the units their owners and burdens, plant the defects, and keep the truth of it."""
    rights = Rights()
    for index, unit in enumerate(units.sound):
        _own(rng, rights, index, unit, people, entities)
    sole = list(rights.sole)
    lots = Lots(rng, range(len(_CAST), len(sole)), size=len(units.rows))

    def drawn(share: float) -> list[str]:
        return [sole[index] for index in lots.draw(share)]

    _refuse(rng, rights, drawn)
    _double(rights, drawn)
    _disguise(rights, sole, lots)
    _inherit(rng, rights, drawn(0.008), people.dead)
    _seize(rng, rights, drawn)
    _mortgage(rng, rights, units.sound)
    rights.expected.count(len(rights.rows))
    return rights


def _own(
    rng: Random,
    rights: Rights,
    index: int,
    unit: str,
    people: Population,
    entities: Registrations,
) -> None:
    chance = rng.random()
    if index < len(_CAST):
        person = people.cast[_CAST[index]]
        holders = [(person.name, "1", person.resident_id)]
    elif chance < 0.06:
        return  # built, and nobody has registered it yet
    elif chance < 0.11 and entities.active:
        code, name = rng.choice(entities.active)
        holders = [(name, "7", code)]
    else:
        chosen = rng.sample(people.living, 2 if chance > 0.85 else 1)
        holders = [(person.name, "1", person.resident_id) for person in chosen]
    year, serial = rng.randrange(2017, 2026), next(rights.serials)
    _enter_owners(rng, rights, unit, holders, year, serial)
    if chance > 0.5 and len(holders) == 1 and rng.random() < 0.2:
        _enter_former(rng, rights, unit, people, year)


def _enter_owners(
    rng: Random,
    rights: Rights,
    unit: str,
    holders: list[tuple[str, str, str]],
    year: int,
    serial: int,
) -> None:
    """One row a holder; co-holders stand on one certificate."""
    joint = rng.random() < 0.6
    ways = {"GYFS": "0"} if len(holders) == 1 else {"GYFS": "1" if joint else "2"}
    for name, kind, number in holders:
        row = _right(rng, rights, unit, "4", year)
        row.update(ways, QLRMC=name, ZJZL=kind, ZJH=number)
        row["QLBL"] = "50%" if ways["GYFS"] == "2" else None
        row["BDCQZH"] = numbers.certificate(year, serial)
    rights.owners[unit] = [number for _, _, number in holders]
    if len(holders) == 1 and holders[0][1] == "1":
        rights.sole[unit] = len(rights.rows) - 1


def _enter_former(rng: Random, rights: Rights, unit: str, people: Population, year: int) -> None:
    """Who owned it before: history, which nobody may mistake for now."""
    former = rng.choice(people.living)
    row = _right(rng, rights, unit, "4", year - 5)
    row.update(QLRMC=former.name, ZJZL="1", ZJH=former.resident_id, GYFS="0", QSZT="2")
    row["BDCQZH"] = numbers.certificate(year - 5, next(rights.serials))
    rights.expected.planted["former-owner"] += 1


def _right(rng: Random, rights: Rights, unit: str, kind: str, year: int) -> Row:
    """A new row of the register, in force, its holder not filled in yet."""
    day = f"{year}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    row: Row = {
        "YWH": f"330784{year}{len(rights.rows) + 1:08d}",
        "BDCDYH": unit,
        "QLLX": kind,
        "QSZT": "1",
        "BDCQZH": None,
        "QLRMC": None,
        "ZJZL": None,
        "ZJH": None,
        "GYFS": None,
        "QLBL": None,
        "ZQSE": None,
        "DJSJ": day,
        "QSSJ": None,
        "JSSJ": None,
        "DJJG": words.LAND[0],
        "DJJGMC": words.LAND[1],
        "WH": None,
        "GXSJ": f"{day}T14:00:00+08:00",
        "ZQSEDW": None,
    }
    rights.rows.append(row)
    return row


def _refuse(rng: Random, rights: Rights, drawn: Drawn) -> None:
    failed, unknown, unitless = drawn(0.003), drawn(0.002), drawn(0.003)
    for unit in failed:
        row = rights.rows[rights.sole[unit]]
        row["ZJH"] = numbers.spoiled(str(row["ZJH"]))
        del rights.owners[unit]
    for unit in unknown:  # an advance notice, which nobody has agreed to deliver
        _burden(rng, rights, unit, "YGDJ", _BANKS[0])
    for unit in unitless:
        _burden(rng, rights, unit, "DYAQ", rng.choice(_BANKS))["ZQSE"] = "86"
    rights.unclear.update(unitless)
    rights.expected.quarantined.update(
        {IDENTIFIER: len(failed), UNKNOWN_CODE: len(unknown), UNKNOWN_UNIT: len(unitless)}
    )


def _double(rights: Rights, drawn: Drawn) -> None:
    same, torn = drawn(0.003), drawn(0.001)
    rights.rows += [dict(rights.rows[rights.sole[unit]]) for unit in same]
    rights.rows += [{**rights.rows[rights.sole[unit]], "QLRMC": "待核实"} for unit in torn]
    for unit in torn:
        del rights.owners[unit]
    rights.expected.duplicates += len(same)
    rights.expected.quarantined[CONFLICT] += 2 * len(torn)


def _disguise(rights: Rights, sole: list[str], lots: Lots) -> None:
    def holder(index: int) -> str:
        return str(rights.rows[rights.sole[sole[index]]]["ZJH"])

    old = lots.draw(0.005, lambda index: holder(index)[6:8] == "19")
    lower = lots.draw(0.005, lambda index: holder(index).endswith("X"))
    wide = lots.draw(0.005)
    for index in old:
        rights.rows[rights.sole[sole[index]]]["ZJH"] = numbers.short_resident(holder(index))
    for index in lower:
        rights.rows[rights.sole[sole[index]]]["ZJH"] = holder(index).lower()
    for index in wide:
        row = rights.rows[rights.sole[sole[index]]]
        row["BDCQZH"] = str(row["BDCQZH"]).replace("(", "（").replace(")", "）")
    rights.expected.normalised.update(
        {FIFTEEN: len(old), LOWER_CASE: len(lower), FULL_WIDTH: len(wide)}
    )
    rights.expected.aliases[FIFTEEN] += len(old)


def _inherit(rng: Random, rights: Rights, units: list[str], dead: list[Person]) -> None:
    """Owners who died and whose heirs have not come yet: loaded, and no certificate."""
    for unit in units if dead else []:
        late = rng.choice(dead)
        rights.rows[rights.sole[unit]].update(QLRMC=late.name, ZJH=late.resident_id)
        rights.owners[unit] = [late.resident_id]
        rights.left_by_dead.add(unit)
    rights.expected.planted["deceased-owner"] += len(rights.left_by_dead)


def _seize(rng: Random, rights: Rights, drawn: Drawn) -> None:
    """Seized: loaded and shown, and no certificate. A seizure that was lifted stops nothing."""
    seized, lifted = drawn(0.012), drawn(0.005)
    for unit in [*seized, *lifted]:
        row = _burden(rng, rights, unit, "CFDJ", _COURT)
        row.update(WH=f"(2025)浙0784执保{len(rights.rows)}号", QSZT="2" if unit in lifted else "1")
    rights.seized.update(seized)
    rights.expected.planted["seizure"] += len(seized)


def _mortgage(rng: Random, rights: Rights, units: list[str]) -> None:
    """Mortgaged, for an amount in ten thousands or in yuan; some were paid back."""
    for unit in units[len(_CAST) :]:
        if unit in rights.unclear or unit not in rights.owners or rng.random() > 0.22:
            continue
        paid = rng.random() < 0.1
        row = _burden(rng, rights, unit, "DYAQ", rng.choice(_BANKS))
        amount, serial = rng.randrange(20, 300), next(rights.serials)
        in_yuan = rng.random() < 0.4
        row["ZQSE"], row["ZQSEDW"] = (f"{amount}0000", "元") if in_yuan else (str(amount), "万元")
        row["BDCQZH"] = numbers.certificate(2025, serial, of="证明")
        row["QSZT"] = "2" if paid else "1"
        if not paid:
            rights.mortgaged.add(unit)
    rights.expected.planted["mortgage"] += len(rights.mortgaged)


def _burden(rng: Random, rights: Rights, unit: str, kind: str, holder: tuple[str, str]) -> Row:
    row = _right(rng, rights, unit, kind, 2025)
    start = str(row["DJSJ"])
    row.update(QLRMC=holder[0], ZJZL="7", ZJH=holder[1], QSSJ=start)
    row["JSSJ"] = f"{int(start[:4]) + (3 if kind == 'CFDJ' else 20)}{start[4:]}"
    return row
