"""Births and deaths as the city's health bureau keeps them; with marriages, the vital records."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.bureaus import Bureau
from connectors.testkit.city.lots import Row
from connectors.testkit.city.marriages import marriages
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
    children,
    is_man,
)
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import Person

HEALTH = Bureau("11330784MB9000664P", "永康市卫生健康局")
HOSPITALS = tuple(
    Bureau(numbers.credit_code("12", words.NOW, 8_000_000 + number), f"永康市示例第{ordinal}医院")
    for number, ordinal in enumerate("一二三")
)
FEWEST_BIRTHS, FEWEST_DEATHS = 30, 40
FIRST_CERTIFICATE = "1996-01-01"
"""出生医学证明 are issued since that day."""


def vital(rng: Random, people: int, population: Population) -> tuple[Table, ...]:
    """What became of people: births, marriages and deaths, with their defects and the truth."""
    return (
        births(rng, people, population),
        marriages(rng, people, population),
        deaths(rng, people, population),
    )


def births(rng: Random, people: int, population: Population) -> Table:
    """The birth certificates of the city's youngest."""
    count = max(FEWEST_BIRTHS, people // 12)
    young = children(population, FIRST_CERTIFICATE)[:count]
    parents = _Parents(population.living)
    rows = [_birth(rng, index, child, parents) for index, child in enumerate(young)]
    _make_parent(rows[0], population.cast[CANARY])
    register = Register(rng, rows, spared=1)
    register.spoil("XSEGMSFHM")
    register.misname("XBDM", "不详")
    register.contradict(lambda row: {"QFRQ": "1995-12-31"})
    register.leave_out("MQXM")
    register.scrawl("CSRQ", "20230231")
    register.double()
    register.tear({"XSEXM": "待核实"})
    register.widen("XSEGMSFHM")
    register.lower("XSEGMSFHM")
    register.estrange("FQZJHM", STRANGER)
    register.remark("sex-as-in-number", _other_sex, fits=_numbered)
    register.remark("weight-is-plausible", lambda _row: {"CSTZ": "32"})
    return register.table(
        "population.birth",
        HEALTH,
        {
            **{"CSYXZMBH": "certificate_no", "QFLB": "issue_kind", "XSEXM": "child_name"},
            **{"XSEGMSFHM": "child_id", "XBDM": "sex", "CSRQ": "born_on", "CSSJ": "born_at"},
            **{"CSTZ": "weight_g", "CSYZ": "gestation_weeks"},
            **{"MQZJHM": "mother_id", "MQZJLX": "mother_id_type", "MQXM": "mother_name"},
            **{"FQZJHM": "father_id", "FQZJLX": "father_id_type", "FQXM": "father_name"},
            **{"JSJGDM": "hospital", "JSJGMC": "hospital_name", "QFRQ": "issued_on"},
            "GXSJ": "changed_at",
        },
        crosswalk={
            "issue_kind": {"首次签发": "1", "换发": "2", "补发": "3"},
            "sex": SEXES,
            "mother_id_type": ID_TYPES,
            "father_id_type": ID_TYPES,
        },
    )


class _Parents:
    """Who may have had a child when: adults of each sex, by the year of birth."""

    def __init__(self, adults: list[Person]) -> None:
        ordered = sorted(adults, key=born)
        self._of = {
            man: [person for person in ordered if is_man(person.resident_id) == man]
            for man in (True, False)
        }
        self._born = {man: [born(each) for each in found] for man, found in self._of.items()}

    def of(self, rng: Random, day: str, *, man: bool) -> Person:
        """Somebody between 20 and 44 on that day; the nearest in age where there is nobody."""
        first, last = f"{int(day[:4]) - 44}0101", f"{int(day[:4]) - 20}0101"
        low, high = bisect_left(self._born[man], first), bisect_right(self._born[man], last)
        if low == high:
            return self._of[man][max(0, low - 1)]
        return self._of[man][rng.randrange(low, high)]


def _birth(rng: Random, index: int, child: Row, parents: _Parents) -> Row:
    day = str(child["CSRQ"])
    mother, father = parents.of(rng, day, man=False), parents.of(rng, day, man=True)
    foreign = rng.random() < 0.02
    fatherless = rng.random() < 0.04
    hospital = rng.choice(HOSPITALS)
    issued = f"{day[:8]}28" if day[8:] < "28" else _later(day)
    return {
        "CSYXZMBH": f"{chr(65 + int(day[:4]) % 24)}33{index:07d}",
        "QFLB": "首次签发" if rng.random() < 0.9 else rng.choice(("换发", "补发")),
        "XSEXM": child["XM"],
        "XSEGMSFHM": child["GMSFHM"] if rng.random() < 0.97 else None,
        "XBDM": f"{child['XBDM']}性",
        "CSRQ": day.replace("-", ""),
        "CSSJ": f"{day} {rng.randrange(24):02d}:{rng.randrange(60):02d}:00",
        "CSTZ": str(rng.randrange(2400, 4200)),
        "CSYZ": str(rng.randrange(36, 42)),
        "MQZJHM": FOREIGNER.format(index % 1000) if foreign else mother.resident_id,
        "MQZJLX": FOREIGN if foreign else OWN,
        "MQXM": mother.name,
        "FQZJHM": None if fatherless else father.resident_id,
        "FQZJLX": None if fatherless else OWN,
        "FQXM": None if fatherless else father.name,
        "JSJGDM": hospital.code,
        "JSJGMC": hospital.name,
        "QFRQ": issued,
        "GXSJ": f"{issued} 16:00:00",
    }


def _make_parent(row: Row, person: Person) -> None:
    parent = "FQ" if is_man(person.resident_id) else "MQ"
    row.update(
        {
            f"{parent}ZJHM": person.resident_id,
            f"{parent}ZJLX": OWN,
            f"{parent}XM": person.name,
        }
    )


def _later(day: str) -> str:
    """The fifth of the month after."""
    year, month = int(day[:4]), int(day[5:7])
    return f"{year + month // 12}-{month % 12 + 1:02d}-05"


def _other_sex(row: Row) -> Row:
    return {"XBDM": "女性" if row["XBDM"] == "男性" else "男性"}


def _numbered(row: Row) -> bool:
    return row["XSEGMSFHM"] is not None


def deaths(rng: Random, people: int, population: Population) -> Table:
    """The death certificates of the city's dead, and of those who died here as strangers."""
    by_number = {str(row["GMSFHM"]): row for row in population.rows if row["SWBS"] == "1"}
    dead = [by_number[person.resident_id] for person in population.dead]
    strangers = max(FEWEST_DEATHS - len(dead), people // 1000)
    rows = [_death(rng, index, row) for index, row in enumerate(dead)]
    rows += [_death(rng, len(dead) + n, _stranger(rng, n)) for n in range(strangers)]
    register = Register(rng, rows)
    register.spoil("GMSFHM")
    register.misname("SWDD", "途中不明")
    register.contradict(lambda _row: {"QFRQ": "1949-10-01"})
    register.leave_out("XBDM")
    register.scrawl("SWRQ", "2019-13-01")
    register.double()
    register.tear({"XM": "待核实"})
    register.widen("GMSFHM")
    register.remark("cause-looks-like-icd-10", lambda _row: {"GBSYBM": "不详"})
    register.count_strangers("GMSFHM", {person.resident_id for person in population.dead})
    return register.table(
        "population.death",
        HEALTH,
        {
            **{"SWYXZMBH": "certificate_no", "GMSFHM": "resident_id", "XM": "name"},
            **{"XBDM": "sex", "CSRQ": "birth_date", "SWRQ": "died_on", "SWDD": "death_place"},
            **{"GBSYBM": "cause_code", "QFJGDM": "certifier", "QFJGMC": "certifier_name"},
            **{"QFRQ": "issued_on", "HKZXRQ": "cancelled_on", "HHRQ": "cremated_on"},
            "GXSJ": "changed_at",
        },
        crosswalk={
            "sex": SEXES,
            "death_place": {"医院": "1", "来院途中": "2", "家中": "3", "养老院": "4", "其他": "9"},
        },
    )


def _stranger(rng: Random, number: int) -> Row:
    """Somebody of another district whom the police here do not know, and who died here."""
    day = f"19{rng.randrange(30, 60)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
    man = rng.random() < 0.5
    sequence = 900 + 2 * (number % 45) + (1 if man else 0)
    return {
        "GMSFHM": numbers.resident("110105", day, sequence),
        "XM": rng.choice(words.SURNAMES) + rng.choice(words.GIVEN),
        "XBDM": "男" if man else "女",
        "CSRQ": f"{day[:4]}-{day[4:6]}-{day[6:]}",
        "SWRQ": f"20{rng.randrange(15, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
    }


def _death(rng: Random, index: int, row: Row) -> Row:
    day = str(row["SWRQ"])
    hospital = rng.choice(HOSPITALS)
    after = _later(day)
    return {
        "SWYXZMBH": f"3307842{index:09d}",
        "GMSFHM": row["GMSFHM"],
        "XM": row["XM"],
        "XBDM": f"{row['XBDM']}性",
        "CSRQ": row["CSRQ"],
        "SWRQ": day,
        "SWDD": rng.choice(("医院", "医院", "家中", "养老院", "来院途中")),
        "GBSYBM": rng.choice(("I21.9", "C34.9", "J44", "I63.9", "C16.2", None)),
        "QFJGDM": hospital.code,
        "QFJGMC": hospital.name,
        "QFRQ": day,
        "HKZXRQ": after,
        "HHRQ": after if rng.random() < 0.8 else None,
        "GXSJ": f"{after} 09:00:00",
    }
