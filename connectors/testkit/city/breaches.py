"""Lists of serious breaches of trust, and repairs of credit."""

from __future__ import annotations

from connectors.testkit.city import bureaus, words
from connectors.testkit.city.lots import Row
from connectors.testkit.city.parties import STRANGER, Hall, later
from connectors.testkit.city.planting import Plot
from connectors.testkit.city.table import Table
from connectors.testkit.city.truth import BROKEN_REFERENCE


def lists(hall: Hall, count: int) -> Plot:
    """Entries on lists, with their defects."""
    plot = Plot(hall.rng, [_entry(hall, index) for index in range(count)], spared=1)
    plot.spoil("SHXYM")
    plot.misname("LB", "88")
    plot.contradict(lambda row: {"YCRQ": "2001-01-01"})
    plot.double()
    plot.tear({"SY": "事由待核实"})
    plot.estrange("SHXYM", STRANGER)
    return plot


def _entry(hall: Hall, index: int) -> Row:
    rng, day = hall.rng, hall.day()
    name, code, resident, representative = hall.party(index)
    off = rng.random() < 0.3
    return {
        "BH": f"YKSX{day[:4]}{index + 1:06d}",
        "LB": rng.choice(("01", "02", "03", "04", "05")),
        **{"ZTMC": name, "SHXYM": code, "SFZH": resident, "FDDBR": representative},
        "SY": "有履行能力而拒不履行生效法律文书确定的义务",
        "YJ": "《最高人民法院关于公布失信被执行人名单信息的若干规定》第一条",
        "WSH": f"(2024)浙0784执{index + 1}号",
        "LRRQ": day,
        "YCRQ": later(day, 1) if off else None,
        "LRJG": words.COURT[0],
        "DQZT": "已移出" if off else "在列",
        "GXSJ": f"{later(day, 1) if off else day}T17:30:00+08:00",
    }


def list_table(plot: Plot) -> Table:
    """The feed of entries."""
    return plot.table(
        "credit.blacklist",
        bureaus.DEVELOPMENT,
        {
            **{"BH": "entry_no", "LB": "kind", "ZTMC": "party_name", "SHXYM": "uscc"},
            **{"SFZH": "resident_id", "FDDBR": "legal_representative", "SY": "reason"},
            **{"YJ": "basis", "WSH": "decision_no", "LRRQ": "listed_on", "YCRQ": "removed_on"},
            **{"LRJG": "authority_name", "DQZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={"status": {"在列": "1", "已移出": "2"}},
    )


def repairs(hall: Hall, penalised: Plot, listed: Plot) -> Plot:
    """A third of the penalties that stand and of the entries that do not are repaired."""
    rows = list[Row]()
    for penalty in penalised.sound:
        if hall.rng.random() < 0.35 and penalty["CF_ZT"] == "0":
            party = (penalty["CF_XDR"], penalty["CF_XDR_SHXYM"], penalty["CF_XDR_SFZ"])
            rows.append(_repair(hall, len(rows), party, str(penalty["CF_JDRQ"]), penalty["CF_WSH"]))
    for entry in listed.sound:
        if entry["DQZT"] == "已移出":
            party = (entry["ZTMC"], entry["SHXYM"], entry["SFZH"])
            rows.append(_repair(hall, len(rows), party, str(entry["LRRQ"]), entry=entry["BH"]))
    plot = Plot(hall.rng, rows, spared=1)
    plot.spoil("SHXYM")
    plot.contradict(lambda row: {"CFWSH": None, "MDBH": None})
    plot.contradict(lambda row: {"JDRQ": "2001-01-01"})
    plot.double()
    plot.estrange("CFWSH", "永罚决〔2001〕第000000号")
    strangers = sum(row["SHXYM"] == STRANGER for row in plot.sound)
    plot.expected.planted[BROKEN_REFERENCE] += strangers
    return plot


def _repair(
    hall: Hall,
    index: int,
    party: tuple[str | None, str | None, str | None],
    since: str,
    penalty: str | None = None,
    entry: str | None = None,
) -> Row:
    name, code, resident = party
    asked = later(since, 1)
    return {
        "BH": f"YKXF{index + 1:08d}",
        "DXLB": "处罚" if penalty else "名单",
        **{"CFWSH": penalty, "MDBH": entry},
        **{"ZTMC": name, "SHXYM": code, "SFZH": resident},
        **{"SQRQ": asked, "JDRQ": asked[:8] + "28", "TBQX": f"{later(asked, 1)[:4]}-01-05"},
        "JG": "1" if hall.rng.random() < 0.85 else "0",
        "JDJG": bureaus.DEVELOPMENT.name,
        "GXSJ": f"{asked[:8]}28T17:30:00+08:00",
    }


def repaired(plot: Plot) -> set[str | None]:
    """The penalties that no longer count."""
    return {row["CFWSH"] for row in plot.sound if row["JG"] == "1"}


def repair_table(plot: Plot) -> Table:
    """The feed of repairs."""
    return plot.table(
        "credit.repair",
        bureaus.DEVELOPMENT,
        {
            **{"BH": "repair_no", "DXLB": "object_kind", "CFWSH": "penalty_no"},
            **{"MDBH": "entry_no", "ZTMC": "party_name", "SHXYM": "uscc", "SFZH": "resident_id"},
            **{"SQRQ": "applied_on", "JDRQ": "decided_on", "JG": "granted", "TBQX": "sync_by"},
            **{"JDJG": "authority_name", "GXSJ": "changed_at"},
        },
        crosswalk={
            "object_kind": {"处罚": "1", "名单": "2"},
            "granted": {"1": "true", "0": "false"},
        },
    )
