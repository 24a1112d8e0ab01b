"""The entities of the city as its market regulator keeps them, with such a register's defects."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.lots import Lots, Row
from connectors.testkit.city.people import BUYER, CANARY, OWNER, Population
from connectors.testkit.city.truth import (
    CONFLICT,
    FULL_WIDTH,
    IDENTIFIER,
    LOWER_CASE,
    UNKNOWN_CODE,
    UNKNOWN_UNIT,
    Expected,
    Person,
)

_CAST = (OWNER, BUYER, CANARY)
"""Whom the first three entities belong to."""

_CAST_NAMES = (
    "永康市启明楼餐饮管理有限公司",
    "永康市知秋小馆餐饮管理有限公司",
    "永康市雀鸣餐饮管理有限公司",
)
_ADDRESS = "永康市东城街道望春路{}号"


@dataclass(frozen=True)
class Registrations:
    """What the regulator sends; `active` are entities (code, name) that may own and be named."""

    rows: list[Row]
    expected: Expected
    active: list[tuple[str, str]]
    licensable: list[str]
    cast: list[str]


def register(rng: Random, count: int, population: Population) -> Registrations:
    """Make `count` entities, plant the defects, and keep the truth of it."""
    rows = [_row(rng, index, _representative(rng, index, population)) for index in range(count)]
    codes = [str(row["UNISCID"]) for row in rows]
    expected = Expected()
    lots = Lots(rng, range(len(_CAST), count), size=count)
    refused = {*_refuse(rows, lots, expected), *_double(rows, lots, expected)}
    orphaned = _orphan(rng, rows, lots, population.dead, expected)
    _disguise(rows, lots, expected)
    expected.count(len(rows))
    expected.aliases["old-registration"] += sum(
        1 for index in range(count) if rows[index]["REGNO"] and index not in refused
    )
    valid = [i for i in range(count) if rows[i]["REGSTATE"] == "1" and i not in refused]
    return Registrations(
        rows=rows,
        expected=expected,
        active=[(codes[i], str(rows[i]["ENTNAME"])) for i in valid if i >= len(_CAST)],
        licensable=sorted(codes[i] for i in valid if i not in orphaned),
        cast=codes[: len(_CAST)],
    )


def _representative(rng: Random, index: int, population: Population) -> Person:
    if index < len(_CAST):
        return population.cast[_CAST[index]]
    return rng.choice(population.living)


def _row(rng: Random, index: int, representative: Person) -> Row:
    cast = index < len(_CAST)
    individual = not cast and rng.random() < 0.3
    industry, form, scope = words.TRADES[0] if cast else rng.choice(words.TRADES)
    year, month, day = rng.randrange(2006, 2026), rng.randrange(1, 13), rng.randrange(1, 29)
    founded = f"{year}-{month:02d}-{day:02d}"
    brand = rng.choice(words.BRANDS) + (rng.choice(words.GIVEN))
    capital, unit = _capital(rng, individual)
    code = numbers.credit_code("92" if individual else "91", words.NOW, 1000 + 7 * index)
    return {
        "UNISCID": code,
        "ENTNAME": _CAST_NAMES[index] if cast else f"永康市{brand}{index}号{form}",
        "ENTTYPE": "9500" if individual else rng.choice(("1130", "1151", "1190")),
        "INDUSTRY": industry,
        "LEREP": representative.name,
        "CERNO": representative.resident_id,
        "DOM": _ADDRESS.format(index + 1),
        "XZQH": words.NOW,
        "REGORG": words.REGISTRAR[0],
        "REGORGMC": words.REGISTRAR[1],
        "REGCAP": capital,
        "REGCAPCUR": "CNY" if capital else None,
        "OPSCOPE": scope,
        "ESTDATE": founded,
        "OPFROM": founded,
        "OPTO": f"{year + 30}-{month:02d}-{day:02d}" if rng.random() < 0.3 else None,
        "REGSTATE": "1" if cast or rng.random() < 0.92 else rng.choice("234569"),
        # Registered before the credit code came (2015-10-01): the old number still finds it.
        "REGNO": f"3307842{index:08d}" if founded < "2015-10-01" else None,
        "GXSJ": f"{founded}T10:{rng.randrange(60):02d}:00+08:00",
        "REGCAPDW": unit,
    }


def _capital(rng: Random, individual: bool) -> tuple[str | None, str | None]:
    """In ten thousands or in yuan, as whoever typed it thought; individuals state none."""
    if individual:
        return None, None
    ten_thousands = rng.choice((10, 50, 100, 200, 500, 1000))
    if rng.random() < 0.6:
        return str(ten_thousands), "万元"
    return f"{ten_thousands * 10_000}.00", "元"


def _refuse(rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    failed, unknown = lots.draw(0.004), lots.draw(0.004)
    unitless = lots.draw(0.004, lambda index: rows[index]["REGCAP"] is not None)
    for index in failed:
        rows[index]["UNISCID"] = numbers.spoiled(str(rows[index]["UNISCID"]))
    for index in unknown:
        rows[index].update({"REGSTATE": "8"} if index % 2 else {"ENTTYPE": "0000"})
    for index in unitless:
        rows[index]["REGCAPDW"] = None
    expected.quarantined.update(
        {IDENTIFIER: len(failed), UNKNOWN_CODE: len(unknown), UNKNOWN_UNIT: len(unitless)}
    )
    return failed + unknown + unitless


def _double(rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    same, torn = lots.draw(0.005), lots.draw(0.002)
    rows += [dict(rows[index]) for index in same]
    rows += [{**rows[index], "LEREP": "待核实", "CERNO": None} for index in torn]
    expected.duplicates += len(same)
    expected.quarantined[CONFLICT] += 2 * len(torn)
    return torn


def _orphan(
    rng: Random, rows: list[Row], lots: Lots, dead: list[Person], expected: Expected
) -> set[int]:
    """Entities whose representative has died: loaded, and no license for them."""
    orphaned = lots.draw(0.01, lambda index: rows[index]["REGSTATE"] == "1") if dead else []
    for index in orphaned:
        late = rng.choice(dead)
        rows[index].update(LEREP=late.name, CERNO=late.resident_id)
    expected.planted["deceased-representative"] += len(orphaned)
    return set(orphaned)


def _disguise(rows: list[Row], lots: Lots, expected: Expected) -> None:
    wide, lower = lots.draw(0.005), lots.draw(0.005)
    by_x = lots.draw(0.01, lambda index: str(rows[index]["CERNO"]).endswith("X"))
    for index in wide:
        rows[index]["UNISCID"] = numbers.full_width(str(rows[index]["UNISCID"]))
    for index in lower:
        rows[index]["UNISCID"] = str(rows[index]["UNISCID"]).lower()
    for index in by_x:
        rows[index]["CERNO"] = str(rows[index]["CERNO"]).lower()
    expected.normalised.update({FULL_WIDTH: len(wide), LOWER_CASE: len(lower) + len(by_x)})
