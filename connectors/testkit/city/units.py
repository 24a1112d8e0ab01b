"""Real-estate units of the city as its land registry keeps them, with their defects."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import numbers, words
from connectors.testkit.city.lots import Lots, Row
from connectors.testkit.city.truth import (
    BLANKS,
    CONFLICT,
    FULL_WIDTH,
    IDENTIFIER,
    UNKNOWN_CODE,
    UNKNOWN_UNIT,
    Expected,
)

CAST = 2
"""The first units are shops that belong to the story; nothing is planted on them."""

_SHOP: Row = {"YT": "31", "MJ": "126.50", "MJDW": "平方米"}


@dataclass(frozen=True)
class Units:
    """What the registry sends of units; `sound` are the true numbers of those that are loaded."""

    rows: list[Row]
    expected: Expected
    sound: list[str]


def build(rng: Random, number: int) -> Units:
    """Make `number` units, plant the defects, and keep the truth of it."""
    codes = [_code(index) for index in range(number)]
    rows = [_unit(rng, index, codes[index]) for index in range(number)]
    expected = Expected()
    lots = Lots(rng, range(CAST, number), size=number)
    refused = {*_refuse(rows, lots, expected), *_double(rows, lots, expected)}
    _disguise(rows, lots, expected)
    expected.count(len(rows))
    return Units(rows, expected, [code for i, code in enumerate(codes) if i not in refused])


def _code(index: int) -> str:
    block, rest = divmod(index, 2000)
    parcel, house = divmod(rest, 40)
    return numbers.unit(words.NOW, block, parcel + 1, house // 8 + 1, house % 8 + 1)


def _unit(rng: Random, index: int, code: str) -> Row:
    house, flat = int(code[20:24]), int(code[24:])
    year = rng.randrange(2012, 2026)
    place = f"{rng.choice(words.ESTATES)}{house}幢{flat}01室"
    large = rng.random() < 0.02
    row: Row = {
        "BDCDYH": code,
        "ZL": "永康市东城街道望春路1号"
        if index == 0
        else f"永康市{rng.choice(words.TOWNS)}街道{place}",
        "MJ": f"{rng.randrange(1, 9)}.5" if large else f"{rng.randrange(4000, 20000) / 100:.2f}",
        "YT": "21" if large else rng.choice(("11", "11", "11", "31", "60")),
        "QLXZ": rng.choice("00057"),
        "XZQH": words.NOW,
        "ZRZH": str(house),
        "GXSJ": f"{year}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}T09:00:00+08:00",
        "MJDW": "公顷" if large else "平方米",
    }
    return {**row, **_SHOP} if index < CAST else row


def _refuse(rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    failed, unknown, unitless = lots.draw(0.002), lots.draw(0.002), lots.draw(0.003)
    for index in failed:  # no check character in these; somebody typed the letter O
        rows[index]["BDCDYH"] = str(rows[index]["BDCDYH"])[:14] + "O" + _code(index)[15:]
    for index in unknown:
        column, code = ("YT", "99") if index % 2 else ("XZQH", words.UNKNOWN_DIVISION)
        rows[index][column] = code
    for index in unitless:
        rows[index]["MJDW"] = None
    expected.quarantined.update(
        {IDENTIFIER: len(failed), UNKNOWN_CODE: len(unknown), UNKNOWN_UNIT: len(unitless)}
    )
    return failed + unknown + unitless


def _double(rows: list[Row], lots: Lots, expected: Expected) -> list[int]:
    same, torn = lots.draw(0.003), lots.draw(0.001)
    rows += [dict(rows[index]) for index in same]
    rows += [{**rows[index], "ZL": "坐落待核实"} for index in torn]
    expected.duplicates += len(same)
    expected.quarantined[CONFLICT] += 2 * len(torn)
    return torn


def _disguise(rows: list[Row], lots: Lots, expected: Expected) -> None:
    spaced, wide = lots.draw(0.005), lots.draw(0.003)
    for index in spaced:  # as it is printed: 6, 6, 7 and 9 characters
        code = _code(index)
        rows[index]["BDCDYH"] = f"{code[:6]} {code[6:12]} {code[12:19]} {code[19:]}"
    for index in wide:
        rows[index]["BDCDYH"] = numbers.full_width(_code(index))
    expected.normalised.update({BLANKS: len(spaced), FULL_WIDTH: len(wide)})
