"""Investment projects: a code for each, the stages of its approval, what was approved, and how a
finished building was measured.

A project whose own row is refused has no stages, permits or surveys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random

from connectors.testkit.city import bureaus, words
from connectors.testkit.city.bureaus import Bureau
from connectors.testkit.city.entities import Registrations
from connectors.testkit.city.ground import Ground
from connectors.testkit.city.lots import Row
from connectors.testkit.city.parties import STRANGER
from connectors.testkit.city.planting import Plot
from connectors.testkit.city.table import Table

FEWEST = 80
UNKNOWN = "9901-330784-99-01-999999"

_STAGES: tuple[tuple[Bureau, tuple[tuple[str, Bureau], ...]], ...] = (
    (bureaus.LAND, (("建设用地规划许可", bureaus.LAND), ("项目备案", bureaus.DEVELOPMENT))),
    (bureaus.LAND, (("建设工程规划许可", bureaus.LAND),)),
    (bureaus.HOUSING, (("建筑工程施工许可", bureaus.HOUSING), ("消防设计审查", bureaus.HOUSING))),
    (bureaus.HOUSING, (("竣工联合验收", bureaus.HOUSING),)),
)
_SURVEYS = ("1", "2", "3", "4", "5")
_SHARES = {"1": 1.0, "2": 2.0, "3": 1.0, "4": 0.08, "5": 0.25}


@dataclass(frozen=True)
class Projects:
    """The four tables; `approved` passed the last stage, `surveyed` have a survey that holds."""

    tables: list[Table]
    codes: set[str]
    approved: set[str]
    surveyed: set[str]


def plan(rng: Random, people: int, entities: Registrations, ground: Ground) -> Projects:
    """Plan and build, plant the defects, and keep the truth of it."""
    count = max(FEWEST, people // 200)
    projects = _projects(rng, count, entities, ground)
    stages, permits, surveys = list[Row](), list[Row](), list[Row]()
    for row in projects.sound:
        _approve(rng, row, stages, permits, surveys, ground)
    stage_plot, permit_plot = _stage_plot(rng, stages), _permit_plot(rng, permits)
    survey_plot = _survey_plot(rng, surveys)
    codes = {str(row["XMDM"]) for row in projects.sound}
    return Projects(
        [
            _project_table(projects),
            _stage_table(stage_plot),
            _permit_table(permit_plot),
            _survey_table(survey_plot),
        ],
        codes,
        approved={
            str(row["XMDM"])
            for row in stage_plot.sound
            if row["SPJD"] == "竣工验收" and row["JDZT"] == "办结"
        }
        & codes,
        surveyed={str(row["XMDM"]) for row in survey_plot.sound if row["SHZT"] == "1"} & codes,
    )


def _projects(rng: Random, count: int, entities: Registrations, ground: Ground) -> Plot:
    plot = Plot(rng, [_project(rng, i, entities, ground) for i in range(count)])
    plot.spoil("DWXYDM")
    plot.misname("XMLX", "其他")
    plot.strip_unit("ZTZ", "JEDW")
    plot.contradict(lambda row: {"XMDM": str(row["XMDM"]).replace("-", "X")})
    plot.contradict(lambda row: {"NJCRQ": "2001-01-01"})
    plot.leave_out("XMMC")
    plot.double()
    plot.tear({"JSDD": "地点待核实"})
    plot.lower("DWXYDM")
    plot.estrange("DWXYDM", STRANGER)
    return plot


def _project(rng: Random, index: int, entities: Registrations, ground: Ground) -> Row:
    code, name = rng.choice(entities.active)
    year, month = rng.randrange(2019, 2025), rng.randrange(1, 13)
    millions, in_yuan = rng.randrange(2, 90), rng.random() < 0.4
    site = ground.sites[index % len(ground.sites)][0] if ground.sites else None
    industry = rng.choice(("33", "34", "38", "70", "59"))
    return {
        "XMDM": f"{year % 100:02d}{month:02d}-{words.NOW}-{industry}-02-{index + 1:06d}",
        "XMMC": f"{rng.choice(words.BRANDS)}年产{rng.randrange(10, 200)}万件五金件项目",
        "XMLX": rng.choice(("备案", "备案", "核准", "审批")),
        **{"DWXYDM": code, "DWMC": name, "GBHY": industry, "XZQHDM": words.NOW},
        "JSDD": f"永康市{rng.choice(words.TOWNS)}{rng.choice(words.STREETS)}路",
        "ZDDM": site,
        "ZTZ": f"{millions}000000" if in_yuan else f"{millions}00",
        "FMRQ": f"{year}-{month:02d}-{rng.randrange(1, 29):02d}",
        "NKGRQ": f"{year}-12-01",
        "NJCRQ": f"{year + 2}-12-01",
        "XMZT": rng.choice(("1", "2", "3", "3")),
        "GXSJ": f"{year}-{month:02d}-28T10:00:00+08:00",
        "JEDW": "元" if in_yuan else "万元",
    }


def _approve(
    rng: Random,
    project: Row,
    stages: list[Row],
    permits: list[Row],
    surveys: list[Row],
    ground: Ground,
) -> None:
    """Bring a project as far as its state says; what is finished was measured."""
    reached = {"1": 1, "2": 3, "3": 4}[str(project["XMZT"])]
    began = int(str(project["FMRQ"])[:4])
    for number, (lead, items) in enumerate(_STAGES[:reached]):
        done = number + 1 < reached or project["XMZT"] == "3"
        stages.append(_stage(rng, project, number, lead, began, done=done))
        if done:
            for item, by in items:
                permits.append(_permit(rng, len(permits), project, number, began, item, by))
    if project["XMZT"] == "3":
        kinds = rng.sample(_SURVEYS, rng.randrange(2, len(_SURVEYS) + 1))
        for kind in sorted(kinds):
            surveys.append(_survey(rng, len(surveys), project, kind, ground))


_STAGE_NAMES = {"立项用地": "1", "工程建设": "2", "施工": "3", "竣工验收": "4"}


def _stage(rng: Random, project: Row, number: int, lead: Bureau, began: int, *, done: bool) -> Row:
    month, day = rng.randrange(1, 6), rng.randrange(1, 29)
    accepted, year = f"{began + number}-{month:02d}-{day:02d}", began + number
    return {
        "XMDM": project["XMDM"],
        "SPJD": tuple(_STAGE_NAMES)[number],
        **{"QTBMDM": lead.code, "QTBM": lead.name, "SLRQ": accepted},
        "CNBJRQ": f"{year}-{month + 2:02d}-{day:02d}",
        "BJRQ": f"{year}-{month + 1:02d}-{day:02d}" if done else None,
        "JDZT": "办结" if done else "在办",
        "GXSJ": f"{accepted} 10:00:00",
    }


def _stage_plot(rng: Random, rows: list[Row]) -> Plot:
    plot = Plot(rng, rows)
    plot.misname("SPJD", "其他")
    plot.contradict(lambda row: {"BJRQ": "2001-01-01"})
    plot.spoil("QTBMDM")
    plot.double()
    plot.tear({"QTBM": "部门待核实"})
    plot.estrange("XMDM", UNKNOWN, 0)
    return plot


def _permit(
    rng: Random, index: int, project: Row, number: int, began: int, item: str, by: Bureau
) -> Row:
    day = f"{began + number}-{rng.randrange(6, 13):02d}-{rng.randrange(1, 29):02d}"
    return {
        "PFWH": f"永审批〔{day[:4]}〕{index + 1:06d}号",
        "XMDM": project["XMDM"],
        "SPJD": tuple(_STAGE_NAMES)[number],
        **{"SPSX": item, "SPBMDM": by.code, "SPBM": by.name, "PFRQ": day},
        "YXQZ": f"{int(day[:4]) + 3}{day[4:]}",
        "SPJG": "准予",
        "GXSJ": f"{day} 16:00:00",
    }


def _permit_plot(rng: Random, rows: list[Row]) -> Plot:
    plot = Plot(rng, rows)
    plot.misname("SPJG", "待定")
    plot.contradict(lambda row: {"YXQZ": "2001-01-01"})
    plot.leave_out("SPSX")
    plot.double()
    plot.tear({"SPSX": "事项待核实"})
    plot.estrange("XMDM", UNKNOWN)
    return plot


def _survey(rng: Random, index: int, project: Row, kind: str, ground: Ground) -> Row:
    building = dict(ground.sites).get(str(project["ZDDM"]))
    approved = rng.randrange(2000, 20_000) * _SHARES[kind]
    number = f"DC3307842025{index + 1:06d}"
    return {
        "CGBH": number,
        "XMDM": project["XMDM"],
        "CHLB": kind,
        "ZDDM": project["ZDDM"],
        "ZRZH": None if kind == "2" else building,
        "SCMJ": f"{approved * rng.uniform(0.97, 1.05):.2f}",
        "PZMJ": f"{approved:.2f}",
        "CHDWXYDM": project["DWXYDM"],
        "CHDW": "永康市测绘院有限公司",
        "CHRQ": f"2025-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        "CGZY": hashlib.sha256(number.encode()).hexdigest(),
        "SHZT": "1" if rng.random() < 0.95 else "2",
        "GXSJ": "2025-12-30T10:00:00+08:00",
        "MJDW": "平方米",
    }


def _survey_plot(rng: Random, rows: list[Row]) -> Plot:
    plot = Plot(rng, rows)
    plot.misname("CHLB", "9")
    plot.strip_unit("SCMJ", "MJDW")
    plot.contradict(
        lambda row: {"ZRZH": f"{_neighbour(str(row['ZDDM']))}F0001"},
        fits=lambda row: row["ZRZH"] is not None,
    )
    plot.leave_out("CHDW")
    plot.double()
    plot.tear({"CHDW": "单位待核实"})
    plot.estrange("XMDM", UNKNOWN)
    return plot


def _neighbour(parcel: str) -> str:
    """A parcel that this one is not."""
    return parcel[:-1] + ("1" if parcel.endswith("0") else "0")


def _project_table(plot: Plot) -> Table:
    return plot.table(
        "investment_project.project",
        bureaus.DEVELOPMENT,
        {
            **{"XMDM": "project_code", "XMMC": "name", "XMLX": "kind", "DWXYDM": "owner_uscc"},
            **{"DWMC": "owner_name", "GBHY": "industry", "XZQHDM": "division_code"},
            **{"JSDD": "site", "ZDDM": "parcel_code", "ZTZ": "investment_yuan"},
            **{"FMRQ": "coded_on", "NKGRQ": "planned_start", "NJCRQ": "planned_end"},
            **{"XMZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={"kind": {"审批": "1", "核准": "2", "备案": "3"}},
        units={"investment_yuan": {"column": "JEDW", "factors": {"元": 1, "万元": 10000}}},
    )


def _stage_table(plot: Plot) -> Table:
    return plot.table(
        "investment_project.stage",
        bureaus.DEVELOPMENT,
        {
            **{"XMDM": "project_code", "SPJD": "stage", "QTBMDM": "lead_authority"},
            **{"QTBM": "lead_authority_name", "SLRQ": "accepted_on", "CNBJRQ": "due_on"},
            **{"BJRQ": "finished_on", "JDZT": "status", "GXSJ": "changed_at"},
        },
        crosswalk={"stage": _STAGE_NAMES, "status": {"在办": "1", "办结": "2", "中止": "3"}},
    )


def _permit_table(plot: Plot) -> Table:
    return plot.table(
        "investment_project.permit",
        bureaus.DEVELOPMENT,
        {
            **{"PFWH": "permit_no", "XMDM": "project_code", "SPJD": "stage"},
            **{"SPSX": "item_name", "SPBMDM": "authority", "SPBM": "authority_name"},
            **{"PFRQ": "decided_on", "YXQZ": "valid_to", "SPJG": "result", "GXSJ": "changed_at"},
        },
        crosswalk={"stage": _STAGE_NAMES, "result": {"准予": "1", "不予": "2", "撤回": "3"}},
    )


def _survey_table(plot: Plot) -> Table:
    return plot.table(
        "investment_project.joint_survey",
        bureaus.LAND,
        {
            **{"CGBH": "result_no", "XMDM": "project_code", "CHLB": "kind"},
            **{"ZDDM": "parcel_code", "ZRZH": "building_code", "SCMJ": "area_m2"},
            **{"PZMJ": "approved_m2", "CHDWXYDM": "surveyor_uscc", "CHDW": "surveyor_name"},
            **{"CHRQ": "surveyed_on", "CGZY": "result_digest", "SHZT": "status"},
            "GXSJ": "changed_at",
        },
        units={"area_m2": {"column": "MJDW", "factors": {"平方米": 1, "公顷": 10000}}},
    )
