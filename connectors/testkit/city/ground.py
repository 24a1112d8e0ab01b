"""The ground the city stands on: divisions, standard addresses, parcels and buildings.

Divisions come from civil affairs, addresses from the police, parcels and buildings from the land
registry. What others refer to is sound: defects are planted on leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from connectors.testkit.city import bureaus, numbers, words
from connectors.testkit.city.lots import Row
from connectors.testkit.city.planting import Plot
from connectors.testkit.city.table import Table
from connectors.testkit.city.units import Units

COUNTY_BEGAN, CITY_BEGAN = "1985-05-15", "1992-08-24"
SUBDISTRICTS_BEGAN = "2001-10-08"
VILLAGES_MERGED = "2019-03-01"
VILLAGES = 12
SITES = 60
_SITE_BLOCK = 90_000
"""Land for building stands in sub-districts of its own, so that no flat lies on it."""

_LEVELS = {"省级": "1", "市级": "2", "县级": "3", "乡级": "4", "村级": "5"}
_COUNTIES = ("武义县", "磐安县", "义乌市", "东阳市", "婺城区")
_COUNTIES_BEGAN = ("1985-05-15", "1985-05-15", "1988-05-25", "1988-05-25", "1985-05-15")


@dataclass(frozen=True)
class Ground:
    """The four tables, and what others may refer to: parcels to build on, with a building each."""

    tables: list[Table]
    sites: list[tuple[str, str]]


def survey(rng: Random, units: Units, people: int) -> Ground:
    """Make the city's ground, plant the defects, and keep the truth of it."""
    codes = sorted({code[:24] for code in units.sound})
    sites = [_site(index) for index in range(max(SITES, people // 300))]
    parcels = _parcels(rng, sorted({code[:19] for code in codes}) + sites)
    sound = {str(row["ZDDM"]) for row in parcels.sound}
    standing = [f"{site}F0001" for site in sites if site in sound]
    buildings = _buildings(rng, [code for code in codes if code[:19] in sound] + standing)
    kept = {str(row["ZRZH"]) for row in buildings.sound}
    return Ground(
        [
            _division_table(rng),
            _address_table(rng, units, people),
            _parcel_table(parcels),
            _building_table(buildings),
        ],
        [(code[:19], code) for code in standing if code in kept],
    )


def town(number: int) -> str:
    """The code of a town; the first half became subdistricts."""
    return f"{words.NOW}{number + 1 if number < len(words.TOWNS) // 2 else 100 + number:03d}"


def _site(index: int) -> str:
    return numbers.unit(words.NOW, _SITE_BLOCK + index // 100, index % 100 + 1, 1, 1)[:19]


def _division_table(rng: Random) -> Table:
    standing = [*_regions(), *_towns()]
    heirs = [_village(number, 0) for number in range(len(words.TOWNS))]
    leaves = [
        _village(number, serial)
        for number in range(len(words.TOWNS))
        for serial in range(1, VILLAGES)
    ]
    plot = Plot(rng, [*standing, *heirs, *leaves], spared=len(standing) + len(heirs))
    plot.misname("JB", "开发区级")
    plot.contradict(lambda row: {"TYRQ": "1980-01-01"}, 0.008)
    plot.contradict(lambda row: {"XZQHDM": f"{row['XZQHDM']}"[:-1]})
    plot.scrawl("QYRQ", "1992-02-30")
    plot.leave_out("XZQHMC")
    plot.double(0.01)
    plot.tear({"XZQHMC": "名称待核实"})
    plot.estrange("SJDM", f"{words.NOW}999")
    return plot.table(
        "space.division",
        bureaus.CIVIL_AFFAIRS,
        {
            **{"XZQHDM": "division_code", "QYRQ": "valid_from", "TYRQ": "valid_to"},
            **{"XZQHMC": "name", "JB": "level", "SJDM": "parent_code", "JRDM": "successor_code"},
            **{"PZWH": "approval_no", "GXSJ": "changed_at"},
        },
        crosswalk={"level": _LEVELS},
    )


def _division(code: str, name: str, level: str, parent: str | None, since: str) -> Row:
    return {
        **{"XZQHDM": code, "QYRQ": since, "TYRQ": None, "XZQHMC": name, "JB": level},
        **{"SJDM": parent, "JRDM": None, "PZWH": None, "GXSJ": f"{since} 09:00:00"},
    }


def _ended(row: Row, on: str, heir: str) -> Row:
    return {**row, "TYRQ": on, "JRDM": heir, "GXSJ": f"{on} 09:00:00"}


def _regions() -> list[Row]:
    """The province, the city above, its counties, and the county that this city was."""
    rows = [
        _division("330000", "浙江省", "省级", None, "1949-10-01"),
        _division("330700", "金华市", "市级", "330000", COUNTY_BEGAN),
        _division(words.NOW, "永康市", "县级", "330700", CITY_BEGAN),
    ]
    rows[2]["PZWH"] = "民行批〔1992〕88号"
    before = _division(words.BEFORE, "永康县", "县级", "330700", COUNTY_BEGAN)
    rows.append(_ended(before, CITY_BEGAN, words.NOW))
    for code, name, since in zip(words.AROUND, _COUNTIES, _COUNTIES_BEGAN, strict=True):
        rows.append(_division(code, name, "县级", "330700", since))
    return rows


def _towns() -> list[Row]:
    """Each town as it is, as it was before it became a subdistrict, and under the county."""
    rows = []
    for number, name in enumerate(words.TOWNS):
        as_town, now = f"{words.NOW}{100 + number}", town(number)
        under_county = _division(
            f"{words.BEFORE}{100 + number}", f"{name}镇", "乡级", words.BEFORE, COUNTY_BEGAN
        )
        rows.append(_ended(under_county, CITY_BEGAN, as_town))
        standing = _division(as_town, f"{name}镇", "乡级", words.NOW, CITY_BEGAN)
        if as_town == now:
            rows.append(standing)
            continue
        rows.append(_ended(standing, SUBDISTRICTS_BEGAN, now))
        rows.append(_division(now, f"{name}街道", "乡级", words.NOW, SUBDISTRICTS_BEGAN))
    return rows


def _village(number: int, serial: int) -> Row:
    """A village of a town; the last ones were merged into the first."""
    code = f"{town(number)}{200 + serial}"
    row = _division(
        code, f"{words.STREETS[number]}{serial + 1}村", "村级", town(number), CITY_BEGAN
    )
    if serial < VILLAGES - 2:
        return row
    return _ended(row, VILLAGES_MERGED, f"{town(number)}200")


def _address_table(rng: Random, units: Units, people: int) -> Table:
    chosen = units.sound[: max(40, people // 10)]
    plot = Plot(rng, [_address(rng, index, unit) for index, unit in enumerate(chosen)])
    plot.spoil("BDCDYH", how=numbers.garbled)
    plot.misname("DZZT", "9")
    plot.contradict(lambda row: {"WD": None}, fits=lambda row: row["JD"] is not None)
    plot.leave_out("DZQC")
    plot.double()
    plot.tear({"DZQC": "地址待核实"})
    plot.widen("BDCDYH", 0.006)
    plot.estrange("BDCDYH", numbers.unit(words.NOW, 80_000, 1, 1, 1), 0.006)
    return plot.table(
        "space.address",
        bureaus.POLICE,
        {
            **{"DZBM": "address_id", "DZQC": "full_address", "XZJDDM": "division_code"},
            **{"JLX": "street", "MLPH": "house_no", "LDH": "building_no", "HSH": "room"},
            **{"BDCDYH": "unit_no", "JD": "longitude", "WD": "latitude"},
            **{"DZZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={"status": {"0": "1", "1": "2"}},
    )


def _address(rng: Random, index: int, unit: str) -> Row:
    number = rng.randrange(len(words.TOWNS))
    street, house = f"{rng.choice(words.STREETS)}路", f"{rng.randrange(1, 400)}号"
    building, room = f"{int(unit[20:24])}幢", f"{int(unit[24:])}01室"
    known = rng.random() < 0.9
    place = f"浙江省永康市{words.TOWNS[number]}{'街道' if number < 5 else '镇'}"
    return {
        "DZBM": f"{town(number)}{index:011d}",
        "DZQC": f"{place}{street}{house}{building}{room}",
        "XZJDDM": town(number),
        **{"JLX": street, "MLPH": house, "LDH": building, "HSH": room},
        "BDCDYH": unit if rng.random() < 0.95 else None,
        "JD": f"120.{rng.randrange(10**5, 10**6)}" if known else None,
        "WD": f"28.{rng.randrange(10**5, 10**6)}" if known else None,
        "DZZT": "0" if rng.random() < 0.97 else "1",
        "GXSJ": _stamp(rng),
    }


def _parcels(rng: Random, codes: list[str]) -> Plot:
    plot = Plot(rng, [_parcel(rng, code) for code in codes])
    plot.misname("TDYT", "999")
    plot.strip_unit("ZDMJ", "MJDW")
    plot.double()
    plot.tear({"ZL": "坐落待核实"})
    return plot


def _parcel(rng: Random, code: str) -> Row:
    built = code[6] == "9"
    area, unit = _area(rng)
    east, north = 120 + rng.random(), 28.8 + rng.random() / 5
    corners = ((0, 0), (0.001, 0), (0.001, 0.001), (0, 0.001), (0, 0))
    ring = ", ".join(f"{east + x:.6f} {north + y:.6f}" for x, y in corners)
    return {
        "ZDDM": code,
        "ZL": f"永康市{rng.choice(words.TOWNS)}{rng.choice(words.STREETS)}路",
        "XZQHDM": words.NOW,
        "ZDMJ": area,
        "TDYT": rng.choice(("061", "063", "054")) if built else rng.choice(("071", "071", "053")),
        "QLXZ": rng.choice(("出让", "出让", "出让", "划拨", "租赁")),
        "GHFQ": "工业园区" if built else rng.choice(("老城区", "江南新区", "城西新区")),
        "RJL": f"{rng.randrange(8, 35) / 10}",
        "JZDZB": f"POLYGON(({ring}))",
        "DJRQ": f"{rng.randrange(2000, 2024)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}",
        "GXSJ": _stamp(rng),
        "MJDW": unit,
    }


def _area(rng: Random) -> tuple[str, str]:
    """Land is measured in square metres, in mu and in hectares, as the file's age has it."""
    square_metres = rng.randrange(2000, 60_000)
    unit = rng.choice(("平方米", "平方米", "亩", "公顷"))
    if unit == "平方米":
        return f"{square_metres}.00", unit
    return (f"{square_metres / 10_000:.4f}" if unit == "公顷" else f"{square_metres // 667}"), unit


def _parcel_table(plot: Plot) -> Table:
    return plot.table(
        "space.parcel",
        bureaus.LAND,
        {
            **{"ZDDM": "parcel_code", "ZL": "location", "XZQHDM": "division_code"},
            **{"ZDMJ": "area_m2", "TDYT": "land_use", "QLXZ": "right_nature"},
            **{"GHFQ": "planning_zone", "RJL": "plot_ratio", "JZDZB": "boundary"},
            **{"DJRQ": "registered_on", "GXSJ": "changed_at"},
        },
        crosswalk={
            # The codes of the standard's edition of 2007, which the registry never gave up.
            "land_use": {"071": "0701", "061": "0601", "063": "0604", "053": "0505", "054": "0507"},
            "right_nature": {"出让": "102", "划拨": "101", "租赁": "104"},
        },
        units={
            "area_m2": {
                "column": "MJDW",
                "factors": {"平方米": 1, "亩": "666.66666667", "公顷": 10000},
            }
        },
    )


def _buildings(rng: Random, codes: list[str]) -> Plot:
    plot = Plot(rng, [_building(rng, code) for code in codes])
    plot.misname("GHYT", "99")
    plot.contradict(lambda row: {"ZDDM": _site(99_000)})
    plot.leave_out("DSCS")
    plot.double()
    plot.tear({"JZWMC": "名称待核实"})
    return plot


def _building(rng: Random, code: str) -> Row:
    built = code[6] == "9"
    floors = rng.randrange(1, 6) if built else rng.randrange(6, 33)
    year = rng.randrange(2000, 2025)
    return {
        "ZRZH": code,
        "ZDDM": code[:19],
        "JZWMC": f"{rng.choice(words.ESTATES)}{int(code[20:])}幢",
        "XZQHDM": words.NOW,
        "DSCS": str(floors),
        "DXCS": str(rng.randrange(0, 3)),
        "JZMJ": f"{floors * rng.randrange(400, 1200)}.{rng.randrange(100):02d}",
        "FWJG": rng.choice("23346"),
        "GHYT": "21" if built else rng.choice(("11", "11", "31")),
        "ZTS": "1" if built else str(floors * 4),
        "JGRQ": f"{year}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        "GXSJ": _stamp(rng),
    }


def _building_table(plot: Plot) -> Table:
    return plot.table(
        "space.building",
        bureaus.LAND,
        {
            **{"ZRZH": "building_code", "ZDDM": "parcel_code", "JZWMC": "name"},
            **{"XZQHDM": "division_code", "DSCS": "floors", "DXCS": "basements"},
            **{"JZMJ": "floor_area_m2", "FWJG": "structure", "GHYT": "use", "ZTS": "units"},
            **{"JGRQ": "completed_on", "GXSJ": "changed_at"},
        },
    )


def _stamp(rng: Random) -> str:
    day = f"20{rng.randrange(18, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    return f"{day}T{rng.randrange(8, 18):02d}:{rng.randrange(60):02d}:00+08:00"
