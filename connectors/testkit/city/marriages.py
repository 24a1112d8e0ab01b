"""Marriages and divorces as the city's civil-affairs bureau keeps them."""

from __future__ import annotations

from random import Random

from connectors.testkit.city import bureaus, words
from connectors.testkit.city.lots import Row
from connectors.testkit.city.people import CANARY, Population
from connectors.testkit.city.register import (
    FOREIGN,
    FOREIGNER,
    ID_TYPES,
    OWN,
    SEXES,
    STRANGER,
    Register,
    born,
    is_man,
)
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import Person

FEWEST = 20


def marriages(rng: Random, people: int, population: Population) -> Table:
    """Marriages and divorces, a row for each party."""
    rows: list[Row] = []
    for index, (man, woman) in enumerate(_couples(rng, people, population)):
        _wed(rng, rows, index, man, woman)
    rows[2:4] = [_with_foreigner(rows[2])]
    register = Register(rng, rows, spared=3)
    register.spoil("DSRZJHM")
    register.misname("DJYWLX", "其他业务")
    register.contradict(lambda _row: {"JLZT": "撤销", "CXRQ": "1949-10-01"})
    register.leave_out("POXM")
    register.scrawl("DJRQ", "2018-02-30")
    register.double()
    register.tear({"POXM": "待核实"})
    register.widen("DSRZJHM")
    register.lower("POZJHM")
    register.estrange("POZJHM", STRANGER)
    register.remark("revoked-has-its-day", lambda _row: {"JLZT": "撤销"})
    return register.table(
        "population.marriage",
        bureaus.CIVIL_AFFAIRS,
        {
            **{"HYDJZH": "registration_no", "DSRZJHM": "party_id", "DSRZJLX": "party_id_type"},
            **{"DSRXM": "party_name", "DSRXBDM": "party_sex"},
            **{"POZJHM": "spouse_id", "POZJLX": "spouse_id_type", "POXM": "spouse_name"},
            **{"DJYWLX": "kind", "DJQHYZK": "status_before", "DJHHYZK": "status_after"},
            **{"ZJYSH": "certificate_no", "DJRQ": "registered_on", "DJJGDM": "registrar"},
            **{"DJJGMC": "registrar_name", "JLZT": "record_status", "CXRQ": "revoked_on"},
            **{"BZ": "note", "GXSJ": "changed_at"},
        },
        crosswalk={
            "party_id_type": ID_TYPES,
            "spouse_id_type": ID_TYPES,
            "party_sex": SEXES,
            "kind": {"结婚登记": "IA", "离婚登记": "IB", "补领结婚证": "ICA"},
            "status_before": {"未婚": "10", "已婚": "20", "离婚": "40"},
            "status_after": {"初婚": "21", "再婚": "22", "离婚": "40"},
            "record_status": {"有效": "1", "撤销": "2", "无效": "3"},
        },
    )


def _couples(rng: Random, people: int, population: Population) -> list[tuple[Person, Person]]:
    """Couples of about an age; the canary is in the first."""
    canary = population.cast[CANARY]
    ordered = sorted(population.living, key=born)
    men = [person for person in ordered if is_man(person.resident_id)]
    women = [person for person in ordered if not is_man(person.resident_id)]
    count = min(max(FEWEST, people // 20), len(men) - 1, len(women) - 1)
    pairs = list(zip(_some(rng, men, count), _some(rng, women, count), strict=True))
    man, woman = pairs[0]
    first = (canary, woman) if is_man(canary.resident_id) else (man, canary)
    return [first, *pairs[1:]]


def _some(rng: Random, persons: list[Person], count: int) -> list[Person]:
    return [persons[index] for index in sorted(rng.sample(range(len(persons)), count))]


def _wed(rng: Random, rows: list[Row], index: int, man: Person, woman: Person) -> None:
    younger = max(int(born(man)[:4]), int(born(woman)[:4]))
    year = min(younger + rng.randrange(22, 33), 2025)
    day = f"{year}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    again = rng.random() < 0.1
    record: Row = {
        "HYDJZH": f"J{words.NOW}-{year}-{index:06d}",
        "DJYWLX": "结婚登记",
        "DJQHYZK": "离婚" if again else "未婚",
        "DJHHYZK": "再婚" if again else "初婚",
        "ZJYSH": f"33{index:08d}",
        "DJRQ": day,
        "GXSJ": f"{day} 10:30:00",
    }
    rows += _parties(record, man, woman)
    if index and year < 2020 and rng.random() < 0.2:
        later = f"{year + 4}{day[4:]}"
        parted: Row = {
            "HYDJZH": f"L{words.NOW}-{year + 4}-{index:06d}",
            "DJYWLX": "离婚登记",
            "DJQHYZK": "已婚",
            "DJHHYZK": "离婚",
            "DJRQ": later,
            "GXSJ": f"{later} 10:30:00",
        }
        rows += _parties({**record, **parted}, man, woman)


def _parties(record: Row, man: Person, woman: Person) -> list[Row]:
    common: Row = {
        "DSRZJLX": OWN,
        "POZJLX": OWN,
        "DJJGDM": bureaus.CIVIL_AFFAIRS.code,
        "DJJGMC": bureaus.CIVIL_AFFAIRS.name,
        "JLZT": "有效",
        "CXRQ": None,
        "BZ": None,
    }
    return [
        {
            "DSRZJHM": party.resident_id,
            "DSRXM": party.name,
            "DSRXBDM": "男性" if party is man else "女性",
            "POZJHM": spouse.resident_id,
            "POXM": spouse.name,
            **common,
            **record,
        }
        for party, spouse in ((man, woman), (woman, man))
    ]


def _with_foreigner(row: Row) -> Row:
    """The same marriage, in which the spouse has a passport and no row of their own."""
    return {**row, "POZJHM": FOREIGNER.format(0), "POZJLX": FOREIGN, "POXM": "ALEX SAMPLE"}
