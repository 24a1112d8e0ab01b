"""Institutions that teach outside school, as the education bureau licenses them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import bureaus, words
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.lots import Row
from connectors.testkit.city.parties import STRANGER
from connectors.testkit.city.people import Population
from connectors.testkit.city.planting import Plot
from connectors.testkit.city.table import Table

FEWEST = 80
_KINDS = {"学科类(义务教育)": "1", "学科类(高中)": "2", "体育": "3", "文化艺术": "4", "科技": "5"}
_STATES = {"有效": "1", "暂停招生": "2", "注销": "3", "吊销": "4"}


@dataclass(frozen=True)
class Tutoring:
    """The licenses; `holders` have one, `licensed` one that is valid."""

    table: Table
    holders: set[str]
    licensed: set[str]


def license_tutors(
    rng: Random, people: int, population: Population, entities: Registrations
) -> Tutoring:
    """License one institution to two hundred people, and keep the truth of it."""
    count = max(FEWEST, people // 200)
    plot = Plot(rng, [_license(rng, index, population, entities) for index in range(count)])
    plot.spoil("TYSHXYDM")
    plot.misname("PXLB", "托管")
    plot.strip_unit("JGZDYE", "JEDW")
    plot.contradict(lambda row: {"YXQZ": "2001-01-01"})
    plot.leave_out("BXDZ")
    plot.double()
    plot.tear({"JGMC": "名称待核实"})
    plot.widen("TYSHXYDM")
    plot.estrange("TYSHXYDM", STRANGER)
    return Tutoring(
        _table(plot),
        {str(row["TYSHXYDM"]) for row in plot.sound},
        {str(row["TYSHXYDM"]) for row in plot.sound if row["XKZT"] == "有效"},
    )


def _license(rng: Random, index: int, population: Population, entities: Registrations) -> Row:
    code, name = entities.active[index % len(entities.active)]
    principal = rng.choice(population.living)
    day = f"{rng.randrange(2021, 2025)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    guarantee, in_yuan = rng.randrange(10, 60), rng.random() < 0.5
    return {
        "BXXKZH": f"133078471{index + 1:06d}",
        "TYSHXYDM": code,
        "JGMC": name,
        "PXLB": rng.choice(tuple(_KINDS)),
        "SFYLX": rng.choice(("营利性", "营利性", "非营利性")),
        "FZRXM": principal.name,
        "FZRSFZH": principal.resident_id,
        "BXDZ": f"永康市{rng.choice(words.TOWNS)}{rng.choice(words.STREETS)}路{index + 1}号2楼",
        "BXMJ": f"{rng.randrange(120, 900)}.0",
        "JGYH": words.BANKS[index % len(words.BANKS)][0],
        "JGZDYE": f"{guarantee}0000" if in_yuan else str(guarantee),
        "FZRQ": day,
        "YXQZ": f"{int(day[:4]) + 3}{day[4:]}",
        "SPJG": bureaus.EDUCATION.name,
        "XKZT": "有效" if rng.random() < 0.85 else rng.choice(("暂停招生", "注销", "吊销")),
        "GXSJ": f"{day}T16:00:00+08:00",
        "JEDW": "元" if in_yuan else "万元",
    }


def _table(plot: Plot) -> Table:
    return plot.table(
        "off_campus_tutoring.license",
        bureaus.EDUCATION,
        {
            **{"BXXKZH": "license_no", "TYSHXYDM": "uscc", "JGMC": "name", "PXLB": "kind"},
            **{"SFYLX": "for_profit", "FZRXM": "principal_name", "FZRSFZH": "principal_id"},
            **{"BXDZ": "address", "BXMJ": "area_m2", "JGYH": "escrow_bank"},
            **{"JGZDYE": "escrow_yuan", "FZRQ": "issued_on", "YXQZ": "valid_to"},
            **{"SPJG": "authority_name", "XKZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={
            "kind": _KINDS,
            "for_profit": {"营利性": "true", "非营利性": "false"},
            "status": _STATES,
        },
        units={"escrow_yuan": {"column": "JEDW", "factors": {"元": 1, "万元": 10000}}},
    )
