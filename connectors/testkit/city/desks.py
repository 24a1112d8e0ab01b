"""The desks of the other departments: each puts its tables into a drop folder of its own.

hand_out(folder, day, city.tables)      every table, whole
environment(folder)                     where the manifests find the folders
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connectors.testkit.city import drops
from connectors.testkit.city.table import Table


@dataclass(frozen=True)
class Desk:
    """Where a table is put: the department's folder, the files' prefix and encoding."""

    folder: str
    prefix: str
    encoding: str = "gb18030"

    @property
    def variable(self) -> str:
        """The variable that names the folder."""
        return f"YIZHAN_SOURCE_{self.folder.upper().replace('-', '_')}_FOLDER"


DESKS: Mapping[str, Desk] = {
    "space.division": Desk("civil-affairs", "xzqh"),
    "space.address": Desk("police", "bzdz"),
    "space.parcel": Desk("land", "zd"),
    "space.building": Desk("land", "zrz"),
    "credit.permit": Desk("credit", "xzxk", "utf-8"),
    "credit.penalty": Desk("credit", "xzcf", "utf-8"),
    "credit.blacklist": Desk("credit", "yzsx", "utf-8"),
    "credit.repair": Desk("credit", "xyxf", "utf-8"),
    "medical_insurance.enrollment": Desk("medical-insurance", "cbdj"),
    "housing_maintenance_fund.deposit": Desk("housing", "wxzj"),
    "off_campus_tutoring.license": Desk("education", "bxxk"),
    "investment_project.project": Desk("development", "xmxx", "utf-8"),
    "investment_project.stage": Desk("development", "xmjd", "utf-8"),
    "investment_project.permit": Desk("development", "xmpf", "utf-8"),
    "investment_project.joint_survey": Desk("land", "dchy"),
}
"""Who puts what where, by dataset."""


def hand_out(folder: Path, day: date, tables: Mapping[str, Table]) -> None:
    """Put every table into its department's folder below `folder`."""
    for dataset, desk in DESKS.items():
        drops.whole(
            folder / desk.folder,
            desk.prefix,
            day,
            tables[dataset].as_rows(),
            encoding=desk.encoding,
        )


def environment(folder: Path) -> dict[str, str]:
    """The variables that the manifests name."""
    return {desk.variable: str(folder / desk.folder) for desk in DESKS.values()}
