"""Who is insured, and what was paid for the upkeep of houses.

Both departments keep tables with a key, so nothing is there twice: they are read by cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import bureaus, numbers, words
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.lots import Row
from connectors.testkit.city.people import CANARY, Population
from connectors.testkit.city.planting import Plot
from connectors.testkit.city.rights import Rights
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import Person

FEWEST = 80
STRANGER = numbers.resident("110105", "19491231", 998)
"""A sound number of nobody in this city."""

_STATES = {"参保缴费": "1", "暂停缴费(中断)": "2", "终止参保": "4"}


@dataclass(frozen=True)
class Insured:
    """Who is enrolled; `paying` are the residents with an enrollment that stands."""

    table: Table
    enrolled: set[str]
    paying: set[str]


def insure(rng: Random, people: int, population: Population, entities: Registrations) -> Insured:
    """Enroll a tenth of the city, plant the defects, and keep the truth of it."""
    count = min(max(FEWEST, people // 10), len(population.living))
    persons = [population.cast[CANARY], *rng.sample(population.living, count)]
    plot = Plot(rng, [_enrollment(rng, i, p, entities) for i, p in enumerate(persons)], spared=1)
    plot.spoil("GMSFHM")
    plot.misname("CBZT", "待定")
    plot.contradict(lambda row: {"JFJZRQ": "1991-01-01"})
    plot.leave_out("RYLB")
    plot.lower("GMSFHM")
    plot.widen("GMSFHM")
    plot.estrange("GMSFHM", STRANGER, 0)
    return Insured(
        _enrollment_table(plot),
        {str(row["GMSFHM"]) for row in plot.sound},
        {str(row["GMSFHM"]) for row in plot.sound if row["CBZT"] == "参保缴费"},
    )


def _enrollment(rng: Random, index: int, person: Person, entities: Registrations) -> Row:
    employed = rng.random() < 0.55 and bool(entities.active)
    code, name = rng.choice(entities.active) if employed else (None, None)
    year, month = rng.randrange(2005, 2025), rng.randrange(1, 13)
    return {
        "GMSFHM": person.resident_id,
        "XZLX": "01" if employed else "02",
        "XM": person.name,
        "RYBH": f"3307840{index:012d}",
        "RYLB": rng.choice(("11", "11", "12")) if employed else rng.choice(("15", "16")),
        "CBZT": "参保缴费" if rng.random() < 0.9 else rng.choice(("暂停缴费(中断)", "终止参保")),
        "DWXYDM": code,
        "DWMC": name,
        "CBDQH": words.NOW,
        "CBRQ": f"{year}-{month:02d}-01",
        "JFJZRQ": f"2026-{rng.randrange(1, 12):02d}-01",
        "JFJS": f"{rng.randrange(45, 250) * 100}.00" if employed else None,
        "GXSJ": _stamp(rng),
    }


def _enrollment_table(plot: Plot) -> Table:
    return plot.table(
        "medical_insurance.enrollment",
        bureaus.MEDICAL_INSURANCE,
        {
            **{"GMSFHM": "resident_id", "XZLX": "scheme", "XM": "name", "RYBH": "enrollment_no"},
            **{"RYLB": "category", "CBZT": "status", "DWXYDM": "employer_uscc"},
            **{"DWMC": "employer_name", "CBDQH": "division_code", "CBRQ": "enrolled_on"},
            **{"JFJZRQ": "paid_to", "JFJS": "base_yuan", "GXSJ": "changed_at"},
        },
        crosswalk={"scheme": {"01": "310", "02": "390"}, "status": _STATES},
    )


@dataclass(frozen=True)
class Fund:
    """The entries in the books; `accounts` are the units that have any that stands.

    `short` must be topped up: less than 30 % of the first payment is left
    (建设部、财政部令第165号 art. 17).
    """

    table: Table
    accounts: set[str]
    short: set[str]


def deposit(
    rng: Random, people: int, population: Population, entities: Registrations, rights: Rights
) -> Fund:
    """Pay for a fifteenth as many flats as there are people, and spend some of it."""
    names = {person.resident_id: person.name for person in population.living + population.cast}
    names |= dict(entities.active)
    rows: list[Row] = []
    for unit in list(rights.owners)[: max(FEWEST // 2, people // 30)]:
        _books(rng, rows, unit, rights.owners[unit][0], names)
    plot = Plot(rng, rows, spared=2)
    plot.spoil("BDCDYH", how=numbers.garbled)
    plot.strip_unit("JE", "JEDW")
    plot.misname("SZLB", "罚息")
    plot.leave_out("JZRQ")
    plot.widen("BDCDYH")
    plot.estrange("JKRZJH", STRANGER, fits=lambda row: row["JKRZJZL"] == "1")
    return Fund(_fund_table(plot), *_balances(plot.sound))


def _books(rng: Random, rows: list[Row], unit: str, payer: str, names: dict[str, str]) -> None:
    """A flat's first payment and, now and then, what was spent of it or paid again."""
    first = rng.randrange(40, 160) * 100
    year = rng.randrange(2012, 2024)
    entries = [("首期交存", first, year)]
    if rng.random() < 0.5:
        entries.append(("使用支出", first * rng.randrange(2, 9) // 10, year + 1))
    if rng.random() < 0.2:
        entries.append(("利息", first // 100, year + 2))
    for kind, amount, booked in entries:
        paid_in = kind == "首期交存"
        in_yuan = rng.random() < 0.8
        rows.append(
            {
                "PZH": f"WX{booked}{len(rows) + 1:09d}",
                "BDCDYH": unit,
                "SZLB": kind,
                "JE": f"{amount}.00" if in_yuan else f"{amount / 10_000:.4f}",
                "JKRMC": names.get(payer) if paid_in else None,
                "JKRZJZL": ("7" if payer[0] == "9" else "1") if paid_in else None,
                "JKRZJH": payer if paid_in else None,
                "ZHYH": words.BANKS[0][0],
                "JZRQ": f"{booked}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
                "JZZT": "已冲正" if not paid_in and rng.random() < 0.02 else "已入账",
                "GXSJ": _stamp(rng),
                "JEDW": "元" if in_yuan else "万元",
            }
        )


def _balances(rows: list[Row]) -> tuple[set[str], set[str]]:
    """Units with an entry that stands, and those of them that are short."""
    first: dict[str, float] = {}
    left: dict[str, float] = {}
    for row in rows:
        if row["JZZT"] != "已入账":
            continue
        unit = str(row["BDCDYH"])
        amount = float(str(row["JE"])) * (1 if row["JEDW"] == "元" else 10_000)
        spent = row["SZLB"] == "使用支出"
        left[unit] = left.get(unit, 0) + (-amount if spent else amount)
        first[unit] = first.get(unit, 0) + (amount if row["SZLB"] == "首期交存" else 0)
    return set(left), {unit for unit in left if left[unit] < 0.3 * first[unit] - 1e-6}


def _fund_table(plot: Plot) -> Table:
    return plot.table(
        "housing_maintenance_fund.deposit",
        bureaus.HOUSING,
        {
            **{"PZH": "voucher_no", "BDCDYH": "unit_no", "SZLB": "kind", "JE": "amount_yuan"},
            **{"JKRMC": "payer_name", "JKRZJZL": "payer_id_type", "JKRZJH": "payer_id"},
            **{"ZHYH": "bank_name", "JZRQ": "booked_on", "JZZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={
            "kind": {"首期交存": "1", "续交": "2", "使用支出": "3", "退还": "4", "利息": "5"},
            "payer_id_type": {"1": "111", "7": "001"},
            "status": {"已入账": "1", "已冲正": "2"},
        },
        units={"amount_yuan": {"column": "JEDW", "factors": {"元": 1, "万元": 10000}}},
    )


def _stamp(rng: Random) -> str:
    day = f"20{rng.randrange(18, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    return f"{day} {rng.randrange(8, 18):02d}:{rng.randrange(60):02d}:00+08"
